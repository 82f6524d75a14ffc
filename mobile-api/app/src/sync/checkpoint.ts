// A checkpoint swaps the staged rows in, after adding up the device's own (PROTOCOL.md § 8).

import { fromHex, hex, text, utf8 } from "./bytes.ts";
import { numberOf, stringOf } from "./canonical.ts";
import { Digest, rowHash } from "./digest.ts";
import { parseRow } from "./frames.ts";
import { derivedId } from "./hash.ts";
import { refText } from "./ids.ts";
import type { Checkpoint, Outcome } from "./messages.ts";
import { type CursorState, type Entry, type Said, entries, keys, settle } from "./outbox.ts";
import { parseEnvelope } from "./record.ts";
import type { Hearing, Staging } from "./response.ts";
import { type Tx, clearPrefix, getJson, putJson } from "./store.ts";
import { recordOf } from "./view.ts";
import { bearWitness } from "./witness.ts";

/** Arrived are rows by "kind/id": row payloads, empty for what left the bucket. */
export type Arrived = Map<string, Uint8Array>;

/** MismatchError says that a bucket's rows do not add up to what the server says. */
export class MismatchError extends Error {
  constructor() {
    super("rows and digest disagree");
  }
}

/** Incident is a bucket whose rows did not add up. */
export interface Incident {
  bucket: string;
  seq: number;
  at: number;
}

interface Arrival extends Said {
  stage: Staging;
  afresh: boolean;
  rows: Arrived;
}

/** applyCheckpoint makes a bucket's rows visible and takes groups off the overlay; it throws a MismatchError. */
export async function applyCheckpoint(t: Tx, e: Hearing, c: Checkpoint, a: Arrival): Promise<void> {
  const rows = a.afresh ? a.rows : new Map([...(await staged(t, c.bucket)), ...a.rows]);
  const former = await getJson<CursorState>(t, keys.cursor(c.bucket));
  if (a.stage.fresh) {
    await bearWitness(t, e.device, c.bucket, a.incarnation, rows);
    await forget(t, c.bucket);
  }
  const cur = a.stage.fresh ? undefined : former;
  const sum = await swap(t, c.bucket, rows, a.stage.fresh, {
    count: cur?.count ?? 0,
    digest: cur && cur.digest !== "" ? Digest.of(fromHex(cur.digest)) : Digest.zero,
  });
  if (sum.count !== c.count || hex(sum.digest.bytes) !== c.digest) throw new MismatchError();
  const next: CursorState = { incarnation: c.incarnation, seq: c.seq, count: sum.count, digest: c.digest };
  await putJson(t, keys.cursor(c.bucket), next);
  await clearPrefix(t, keys.staged(c.bucket));
  await t.delete(keys.staging(c.bucket));
  await t.delete(keys.left(c.bucket));
  // Another incarnation may know other outcomes, although this bucket's rows are the same in both.
  await release(t, e, c, a, a.stage.fresh || former?.incarnation !== c.incarnation);
}

async function staged(t: Tx, bucket: string): Promise<[string, Uint8Array][]> {
  const prefix = keys.staged(bucket);
  return (await t.scan(prefix)).map(([key, row]) => [key.slice(prefix.length), row]);
}

interface Sum {
  count: number;
  digest: Digest;
}

/** swap puts every row in place of what stood there, or takes it away, and adds up. */
async function swap(t: Tx, bucket: string, rows: Arrived, empty: boolean, sum: Sum): Promise<Sum> {
  const refs = [...rows.keys()];
  const prefix = keys.rows(bucket);
  const old = await Promise.all(refs.map((ref) => (empty ? undefined : t.get(prefix + ref))));
  const writes: Promise<void>[] = [];
  let { count, digest } = sum;
  for (const [i, ref] of refs.entries()) {
    const was = old[i];
    if (was) {
      const row = parseRow(was);
      digest = digest.sub(rowHash(row.envelope, row.body));
      count--;
    }
    const payload = rows.get(ref)!;
    const row = payload.length > 0 ? parseRow(payload) : undefined;
    if (!row || parseEnvelope(text(row.envelope)).deleted) {
      writes.push(remove(t, bucket, ref));
      continue;
    }
    digest = digest.add(rowHash(row.envelope, row.body));
    count++;
    writes.push(t.put(prefix + ref, payload), t.put(keys.place(ref), utf8(bucket)));
  }
  await Promise.all(writes);
  return { count, digest };
}

/** remove takes a row away. Where the record has a place in another bucket by now, that one stays. */
async function remove(t: Tx, bucket: string, ref: string): Promise<void> {
  await t.delete(keys.rows(bucket) + ref);
  const place = await t.get(keys.place(ref));
  if (place && text(place) === bucket) await t.delete(keys.place(ref));
}

/** forget erases a bucket's rows, staged ones included. The outbox is never touched. */
export async function forget(t: Tx, bucket: string): Promise<void> {
  const prefix = keys.rows(bucket);
  await Promise.all((await t.scan(prefix)).map(([key]) => remove(t, bucket, key.slice(prefix.length))));
  await clearPrefix(t, keys.staged(bucket));
  await t.delete(keys.staging(bucket));
}

/** incident drops a bucket's cursor, so that it is fetched afresh. What is visible stays until then. */
export async function incident(t: Tx, c: Checkpoint, at: number): Promise<void> {
  const i: Incident = { bucket: c.bucket, seq: c.seq, at };
  await putJson(t, `${keys.incidents}${c.bucket}|${String(c.seq).padStart(16, "0")}`, i);
  await clearPrefix(t, keys.staged(c.bucket));
  await t.delete(keys.staging(c.bucket));
  await t.delete(keys.cursor(c.bucket));
}

/** release takes groups off the overlay whose rows have arrived, and follows open groups to their end by the outcome
 * records of the author's bucket. */
async function release(t: Tx, e: Hearing, c: Checkpoint, a: Arrival, anew: boolean): Promise<void> {
  const own = c.bucket === e.userBucket;
  if (own && anew) await recall(t, e, a);
  for (const x of await entries(t)) {
    if (x.state === "awaiting" && x.life === c.incarnation && x.at?.bucket === c.bucket && c.seq >= x.at.seq) {
      await putJson(t, keys.entry(x.dseq), { ...x, state: "done", doneAt: a.server });
    } else if (own && x.state === "held") await follow(t, e, x, a);
  }
}

/** recall reads the outcomes of decided groups again when the author's bucket begins afresh, or goes on in another
 * incarnation: a server that was put back may hold what it had decided since. Whatever is not simply applied has a record;
 * where there is none, the group was, unless this very incarnation said otherwise. */
async function recall(t: Tx, e: Hearing, a: Arrival): Promise<void> {
  for (const x of await entries(t)) {
    if (x.state === "pending" || x.state === "dismissed") continue;
    const open = (x.state === "held" || x.state === "rejected") && x.life !== a.incarnation;
    const again: Entry = { ...x, state: "held" };
    const known = await follow(t, e, again, a);
    if (!known && open) await settle(t, again, { dseq: x.dseq, status: "judged", code: "", reason: "", expiry: 0, changes: [] }, a);
  }
}

/** follow reads what became of a group from its outcome record, and says whether there is one. */
async function follow(t: Tx, e: Hearing, x: Entry, by: Said): Promise<boolean> {
  const id = derivedId("outcome", `${e.device}:${x.dseq}`);
  const payload = await t.get(keys.rows(e.userBucket) + refText({ kind: "outcome", id }));
  if (!payload) return false;
  const b = recordOf(payload).body;
  const o: Outcome = { dseq: x.dseq, status: stringOf(b.get("status")), code: stringOf(b.get("code")), reason: stringOf(b.get("reason")), expiry: numberOf(b.get("expiry")), changes: [] };
  const bucket = stringOf(b.get("bucket"));
  if (bucket !== "") o.at = { bucket, seq: numberOf(b.get("seq")) };
  await settle(t, x, o, by);
  return true;
}
