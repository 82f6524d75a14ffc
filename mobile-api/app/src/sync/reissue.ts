// A new identity for the same person, after the former one was frozen (PROTOCOL.md § 8).

import { groupHash } from "./chain.ts";
import { parseGroupPayload } from "./frames.ts";
import type { Group } from "./group.ts";
import { type Stamp, makeStamp } from "./ids.ts";
import { entries, frozen, frozenGroup, keep, keys, loadState, newState } from "./outbox.ts";
import { type Tx, putJson } from "./store.ts";

/** reissue numbers and chains every group that is still kept anew under another device id, with a word of where it came
 * from. Only what the author dismissed is left behind; rows, keys and photos stay. It returns how many. */
export async function reissue(t: Tx, device: string): Promise<number> {
  const former = await loadState(t);
  const old = [];
  for (const entry of await entries(t)) {
    const hash = groupHash(parseGroupPayload(await frozen(t, entry.dseq)).bytes);
    old.push({ entry, group: await frozenGroup(t, entry.dseq), hash });
    await t.delete(keys.entry(entry.dseq));
    await t.delete(keys.group(entry.dseq));
  }
  const { incarnation, syncedAt, photosAgain } = former;
  const st = { ...newState(device), incarnation, syncedAt, photosAgain };
  await putJson(t, keys.state, st);
  const renamed = new Map<Stamp, Stamp>();
  let n = 0;
  for (const { entry, group, hash } of old) {
    if (entry.state === "dismissed") continue;
    const g: Group = { ...group, device, dseq: st.next, origin: group.origin ?? { device: group.device, dseq: group.dseq, hash } };
    g.changes = group.changes.map((c, i) => {
      // What is on record keeps its name there.
      if (entry.state === "pending" || entry.state === "held") renamed.set(makeStamp(group.device, entry.dseq + i), makeStamp(device, g.dseq + i));
      return c.base ? { ...c, base: new Map([...c.base].map(([field, s]) => [field, renamed.get(s) ?? s])) } : c;
    });
    await keep(t, st, g, entry.captured);
    n++;
  }
  await t.delete(keys.receipt);
  return n;
}
