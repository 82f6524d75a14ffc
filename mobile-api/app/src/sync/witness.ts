// Rows of a life of the server that was lost, kept until the server has them (PROTOCOL.md § 8).

import { text } from "./bytes.ts";
import { parseRow } from "./frames.ts";
import { splitStamp } from "./ids.ts";
import { type CursorState, keys } from "./outbox.ts";
import { type Envelope, parseEnvelope, versionOf } from "./record.ts";
import { type Tx, getJson } from "./store.ts";

const maxKept = 5000;

/** bearWitness keeps the rows of a bucket that the server sent in a former life and does not know any more; next are the
 * rows that take their place. What this phone made itself it pushes again. */
export async function bearWitness(t: Tx, device: string, bucket: string, incarnation: string, next: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const cur = await getJson<CursorState>(t, keys.cursor(bucket));
  if (!cur || cur.incarnation === incarnation) return;
  let kept = (await t.scan(keys.witnesses)).length;
  const prefix = keys.rows(bucket);
  for (const [key, row] of await t.scan(prefix)) {
    const ref = key.slice(prefix.length);
    if (kept >= maxKept) return;
    if (!differs(device, row, next.get(ref))) continue;
    await t.put(`${keys.witnesses}${cur.incarnation}/${bucket}/${ref}`, row);
    kept++;
  }
}

/** differs reports whether a row holds a version that another one lacks and that this phone did not write. Outcomes are
 * written anew when the groups are judged again, and keys are no business of people's. */
function differs(device: string, old: Uint8Array, next: Uint8Array | undefined): boolean {
  const was = envelopeOf(old);
  if (was.ref.kind === "outcome" || was.ref.kind === "key") return false;
  const now = next && next.length > 0 ? envelopeOf(next) : undefined;
  const foreign = (stamp: string) => splitStamp(stamp)?.origin !== device;
  if (foreign(was.version.stamp) && now?.version.stamp !== was.version.stamp) return true;
  return [...was.fields].some(([name, v]) => foreign(v.stamp) && (!now || versionOf(now, name).stamp !== v.stamp));
}

function envelopeOf(payload: Uint8Array): Envelope {
  return parseEnvelope(text(parseRow(payload).envelope));
}
