// What was captured and where it stands. Groups are frozen beside their entries; the outbox is touched by no reset.

import { text, utf8 } from "./bytes.ts";
import { chainNext, chainStart, groupHash } from "./chain.ts";
import { GroupError } from "./errors.ts";
import { groupPayload, parseGroupPayload } from "./frames.ts";
import { type Group, encodeGroup, parseGroup } from "./group.ts";
import { refText } from "./ids.ts";
import { maxGroupBytes, retentionMs, roomToReissue } from "./limits.ts";
import type { Outcome } from "./messages.ts";
import { type Reading, type Tx, getJson, putJson, scanJson } from "./store.ts";

/** Where a captured group stands: only on this phone; judged, but its rows have not arrived; held by the server; never to
 * be applied; carried by the server's rows; rejected, and its author has seen it. */
export type EntryState = "pending" | "awaiting" | "held" | "rejected" | "done" | "dismissed";

/** Entry is one captured group. */
export interface Entry {
  dseq: number;
  last: number;
  root: string;
  size: number;
  head: string; // the chain's head behind it
  captured: number;
  state: EntryState;
  code: string;
  reason: string;
  changes: string[];
  expiry: number;
  at?: { bucket: string; seq: number };
  life: string; // the incarnation of the server in which at is a place, and which told the outcome
  doneAt: number; // by the server's clock
}

/** State is the device's chain and what it knows of the server. */
export interface State {
  next: number; // the number of the next change
  head: string; // the chain's head behind the last one
  have: number; // the last change whose outcome was heard
  safe: number; // changes up to here are in a backup of the server
  incarnation: string;
  trouble: string; // a code that needs a person: fork, revoked, …
  syncedAt: number;
  photosAgain: boolean; // the server was put back: it may lack any photo
}

/** CursorState is where the device stands in a bucket, with what its own rows add up to. */
export interface CursorState {
  incarnation: string;
  seq: number;
  count: number;
  digest: string;
}

/** Keys of the store. */
export const keys = {
  identity: "identity",
  state: "state",
  receipt: "receipt",
  cursors: "cursor/",
  cursor: (bucket: string) => `cursor/${bucket}`,
  rows: (bucket: string) => `row/${bucket}|`,
  place: (ref: string) => `place/${ref}`,
  staged: (bucket: string) => `staged/${bucket}|`,
  stagings: "staging/",
  staging: (bucket: string) => `staging/${bucket}`,
  outbox: "outbox/",
  entry: (dseq: number) => `outbox/${String(dseq).padStart(16, "0")}`,
  group: (dseq: number) => `group/${String(dseq).padStart(16, "0")}`,
  lefts: "left/",
  left: (bucket: string) => `left/${bucket}`,
  incidents: "incident/",
  witnesses: "witness/",
};

/** newState is the state of a device that has captured nothing. */
export function newState(device: string): State {
  return { next: 1, head: chainStart(device), have: 0, safe: 0, incarnation: "", trouble: "", syncedAt: 0, photosAgain: false };
}

/** loadState reads the device's state. */
export async function loadState(t: Reading): Promise<State> {
  const s = await getJson<State>(t, keys.state);
  if (!s) throw new Error("this store belongs to no device: enrol first");
  return s;
}

/** entries are the groups that are kept, in order of capture. */
export function entries(t: Reading): Promise<Entry[]> {
  return scanJson<Entry>(t, keys.outbox);
}

/** overlays reports whether a group still lies over the server's rows. */
export function overlays(x: Entry): boolean {
  return x.state === "pending" || x.state === "awaiting" || x.state === "held";
}

/** frozen is the payload of an entry's group frame. */
export async function frozen(t: Reading, dseq: number): Promise<Uint8Array> {
  const b = await t.get(keys.group(dseq));
  if (!b) throw new Error(`the bytes of group ${dseq} are missing`);
  return b;
}

/** frozenGroup reads an entry's group back. */
export async function frozenGroup(t: Reading, dseq: number): Promise<Group> {
  return parseGroup(text(parseGroupPayload(await frozen(t, dseq)).bytes));
}

/** keep freezes a group in the outbox and moves the chain on. */
export async function keep(t: Tx, st: State, g: Group, captured: number): Promise<Entry> {
  const raw = utf8(encodeGroup(g));
  if (!g.origin && raw.length > maxGroupBytes - roomToReissue) throw new GroupError(`larger than ${maxGroupBytes - roomToReissue} bytes`);
  const head = chainNext(st.head, groupHash(raw));
  const last = g.dseq + g.changes.length - 1;
  const x: Entry = { dseq: g.dseq, last, root: refText(g.root), size: raw.length, head, captured, state: "pending", code: "", reason: "", changes: [], expiry: 0, life: "", doneAt: 0 };
  await t.put(keys.group(g.dseq), groupPayload(g.dseq, g.changes.length, raw));
  await putJson(t, keys.entry(g.dseq), x);
  st.next = last + 1;
  st.head = head;
  await putJson(t, keys.state, st);
  return x;
}

/** Said is who told something: the server's clock and its incarnation. */
export interface Said {
  server: number;
  incarnation: string;
}

/** settle writes an outcome down. A judged group stays over the rows until they carry it. A place in the feed is compared
 * within one incarnation only, since another one gives the numbers behind its beginning out again. */
export async function settle(t: Tx, x: Entry, o: Outcome, by: Said): Promise<void> {
  if (x.state === "done" || x.state === "dismissed") return;
  const { at: _, ...rest } = x;
  const next: Entry = { ...rest, code: o.code, reason: o.reason, changes: o.changes, expiry: o.expiry, life: by.incarnation, ...(o.at ? { at: o.at } : {}) };
  if (o.status === "held") next.state = "held";
  else if (o.status === "rejected") next.state = "rejected";
  else {
    const cur = o.at && (await getJson<CursorState>(t, keys.cursor(o.at.bucket)));
    next.state = o.at && !(cur && cur.incarnation === by.incarnation && cur.seq >= o.at.seq) ? "awaiting" : "done";
    if (next.state === "done") next.doneAt = by.server;
  }
  await putJson(t, keys.entry(x.dseq), next);
}

/** unsettle takes back what a server knew that was put back from a backup: its groups behind have are undecided again. */
export async function unsettle(t: Tx, have: number): Promise<void> {
  for (const x of await entries(t)) {
    if (x.last <= have || x.state === "pending" || x.state === "dismissed") continue;
    const { at: _, ...rest } = x;
    await putJson(t, keys.entry(x.dseq), { ...rest, state: "pending", code: "", reason: "", changes: [], expiry: 0, life: "", doneAt: 0 });
  }
}

/** prune forgets groups from the first on that the server's rows carry and a backup holds, or that are older than the time
 * for which they are kept. The last of them stays, since its head opens the next push. */
export async function prune(t: Tx, st: State, now: number): Promise<void> {
  const gone: Entry[] = [];
  for (const x of await entries(t)) {
    const old = x.doneAt > 0 && now - x.doneAt > retentionMs;
    if ((x.state !== "done" && x.state !== "dismissed") || x.last >= st.have || (x.last > st.safe && !old)) break;
    gone.push(x);
  }
  for (const x of gone.slice(0, -1)) {
    await t.delete(keys.entry(x.dseq));
    await t.delete(keys.group(x.dseq));
  }
}
