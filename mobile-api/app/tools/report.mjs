/** report prints the results of a run and returns the exit code; a run without tests has failed, too. */
export function report(where, results) {
  const failed = results.filter((r) => r.error !== undefined);
  for (const r of failed) console.error(`FAIL ${r.name}\n${r.error}\n`);
  console.log(`${where}: ${results.length - failed.length} of ${results.length} tests passed`);
  return failed.length > 0 || results.length === 0 ? 1 : 0;
}
