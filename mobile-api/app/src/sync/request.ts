// What a device says: the next request, and what it makes of refusals.

import { concat, text, toBase64 } from "./bytes.ts";
import { chainStart, signedText } from "./chain.ts";
import { Refusal } from "./errors.ts";
import { frame, jsonFrame } from "./frames.ts";
import type { Clock } from "./group.ts";
import { cursorText } from "./ids.ts";
import { maxPushBytes, maxPushGroups, maxWitnesses } from "./limits.ts";
import { type CursorState, type Entry, type State, entries, frozen, keys, loadState, unsettle } from "./outbox.ts";
import type { Staging } from "./response.ts";
import type { Signer } from "./sign.ts";
import { type Reading, type Store, type Tx, putJson, scanJson } from "./store.ts";

/** Ask says what a request is for. */
export interface Ask {
  pushBytes?: number; // how much to push at most; half of what a server takes
  noPull?: boolean; // push only, for instance without a token
  maxBytes?: number; // how much the response may bring; the server decides
}

/** Asked is a request with what its response refers to. */
export interface Asked {
  bytes: Uint8Array;
  pulls: boolean;
  witnesses: string[]; // keys of the store
}

/** Left acknowledges that a bucket was dropped. */
export interface Left {
  bucket: string;
  cursor: string;
  count: number;
  digest: string;
}

/** request builds the next request. It changes nothing, so that it can be repeated after any fault. */
export async function request(store: Store, device: string, signer: Signer, catalog: number, clock: Clock, ask: Ask): Promise<Asked> {
  const limit = ask.pushBytes || maxPushBytes / 2;
  const hello = { versions: [1, 1], device, catalog, caps: ["gzip"], wall: clock.wall, mono: clock.mono, boot: clock.boot };
  const frames = [jsonFrame("H", hello)];
  const { push, witnesses, want } = await store.view(async (t) => ({
    push: await groups(t, device, limit),
    witnesses: ask.noPull ? [] : (await t.scan(keys.witnesses)).slice(0, maxWitnesses),
    want: ask.noPull ? undefined : await wanted(t),
  }));
  if (push) {
    frames.push(...push.frames);
    const { first, prev, last, head } = push;
    const sig = toBase64(await signer.sign(signedText(device, last, head)));
    frames.push(jsonFrame("S", { device, first, prev, last, head, sig }));
  }
  let size = frames.reduce((n, f) => n + f.length, 0);
  const sent: string[] = [];
  for (const [key, row] of witnesses) {
    if ((size += row.length) > limit) break;
    frames.push(frame("V", row));
    sent.push(key);
  }
  if (want) frames.push(jsonFrame("W", { ...want, ...(ask.maxBytes ? { max_bytes: ask.maxBytes } : {}) }));
  frames.push(jsonFrame("E", { frames: frames.length }));
  return { bytes: concat(...frames), pulls: !ask.noPull, witnesses: sent };
}

interface Push {
  frames: Uint8Array[];
  first: number;
  prev: string;
  last: number;
  head: string;
}

/** groups are the groups whose outcome was not heard, as far as they fit. */
async function groups(t: Reading, device: string, limit: number): Promise<Push | undefined> {
  const st = await loadState(t);
  if (st.trouble !== "") return undefined;
  let push: Push | undefined;
  let prev = chainStart(device);
  let size = 0;
  for (const x of await entries(t)) {
    if (x.last <= st.have) {
      prev = x.head;
      continue;
    }
    if (push && (size + x.size > limit || push.frames.length === maxPushGroups)) break;
    push ??= { frames: [], first: x.dseq, prev, last: 0, head: "" };
    push.frames.push(frame("G", await frozen(t, x.dseq)));
    push.last = x.last;
    push.head = x.head;
    size += x.size;
  }
  return push;
}

/** wanted is where the device stands in every bucket: what is staged counts, since it is durable. */
async function wanted(t: Reading): Promise<{ cursors: { bucket: string; cursor: string }[]; left: Left[] }> {
  const at = new Map<string, string>();
  for (const prefix of [keys.cursors, keys.stagings]) {
    for (const [key, value] of await t.scan(prefix)) at.set(key.slice(prefix.length), cursorText(JSON.parse(text(value)) as CursorState | Staging));
  }
  const cursors = [...at].sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([bucket, cursor]) => ({ bucket, cursor }));
  return { cursors, left: await scanJson<Left>(t, keys.lefts) };
}

/** refused takes note of a refusal of a whole exchange, and says whether another try can help. After a gap the device goes
 * on from where the server stands; a fork or a revocation needs a person. */
export async function refused(t: Tx, r: Refusal): Promise<boolean> {
  const st = await loadState(t);
  if (r.code === "dseq_gap") return rewind(t, st, r);
  if (identityOver(r.code)) await putJson(t, keys.state, { ...st, trouble: r.code });
  return false;
}

/** rewind goes back to what the server has, for instance after it was put back from a backup. */
async function rewind(t: Tx, st: State, r: Refusal): Promise<boolean> {
  const list: Entry[] = await entries(t);
  const known = r.have === 0 || list.some((x) => x.last === r.have && x.head === r.head);
  if (!known || (list[0] && list[0].dseq > r.have + 1)) {
    await putJson(t, keys.state, { ...st, trouble: "dseq_gap" });
    return false;
  }
  if (st.have === r.have) throw new Error("the server asks for what it was sent");
  await putJson(t, keys.state, { ...st, have: r.have });
  await unsettle(t, r.have);
  return true;
}

/** identityOver reports whether a code means that this identity is over: the phone must be enrolled anew. */
export function identityOver(code: string): boolean {
  return ["fork", "dseq_reused", "revoked", "unknown_device"].includes(code);
}
