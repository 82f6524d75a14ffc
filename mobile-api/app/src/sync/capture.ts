// What a person does becomes a group: sealed, frozen, chained and kept, in one transaction.

import { type Fields, type Raw, fieldsOf, withField } from "./canonical.ts";
import type { Change, Clock, Group, Op } from "./group.ts";
import { type Ref, type Stamp, cursorText, refText, sameRef } from "./ids.ts";
import { type CursorState, type Entry, keep, keys, loadState } from "./outbox.ts";
import type { Policy } from "./merge.ts";
import { versionOf } from "./record.ts";
import { type Sealer, isSealed, keyId } from "./seal.ts";
import { type Tx, getJson } from "./store.ts";
import { type Ring, keyRecord, viewOf } from "./view.ts";

/** Draft is one thing that a person did. Bases are filled in from what the person saw. `seal` names fields whose values
 * are given in the open and are sealed under the root's case key before anything is kept. */
export interface Draft {
  op: Op;
  ref: Ref;
  fields?: Fields;
  clear?: readonly string[];
  act?: string;
  args?: Fields;
  bucket?: string; // with the put of a new root
  seal?: readonly string[];
}

/** Capturing is what capture needs of its engine. */
export interface Capturing {
  readonly device: string;
  readonly userBucket: string;
  readonly catalog: number;
  readonly ring: Ring;
  policyOf(kind: string, field: string): Policy;
  random(bytes: number): Uint8Array;
}

/** capture freezes drafts as one group. A new household gets a case key of its own in the same group. */
export async function capture(c: Capturing, t: Tx, root: Ref, drafts: readonly Draft[], clock: Clock): Promise<Entry> {
  if (drafts.length === 0) throw new Error("nothing to capture");
  const st = await loadState(t);
  const cur = await getJson<CursorState>(t, keys.cursor(c.userBucket));
  const changes: Change[] = [];
  let sealer: Sealer | undefined;
  for (const d of drafts) {
    if (d.op !== "put" || !d.bucket || !sameRef(d.ref, root)) continue;
    const made = await newKey(c, t, root, d.bucket);
    sealer = made.sealer;
    changes.push(made.change);
  }
  for (const d of drafts) {
    if (d.seal && d.seal.length > 0) sealer ??= await c.ring.current(t, root, c.policyOf);
    changes.push(await change(c, t, d, sealer));
  }
  // The put of the root comes first, so that whoever reads the group knows where the rest belongs.
  const rank = (x: Change) => (x.op === "put" && sameRef(x.ref, root) ? 0 : 1);
  changes.sort((a, b) => rank(a) - rank(b));
  const g: Group = { device: c.device, dseq: st.next, gv: cur ? cursorText(cur) : "", root, clock, catalog: c.catalog, changes };
  return keep(t, st, g, clock.wall);
}

/** newKey mints the case key of a new root and the put of its key record. */
async function newKey(c: Capturing, t: Tx, root: Ref, bucket: string): Promise<{ sealer: Sealer; change: Change }> {
  await c.ring.grants(t);
  const wrap = c.ring.ofBucket(bucket);
  if (!wrap) throw new Error(`no key for ${bucket}: the grid is not granted to this phone`);
  const key = c.random(32);
  const ref = keyRecord(root), kid = keyId(key);
  const fields = withField(fieldsOf({ root: refText(root), current: kid }), "keys", `{"${kid}":${wrap.wrap(ref, key)}}` as Raw);
  return { sealer: c.ring.add(key), change: { op: "put", ref, fields } };
}

async function change(c: Capturing, t: Tx, d: Draft, sealer: Sealer | undefined): Promise<Change> {
  const out: Change = { op: d.op, ref: d.ref };
  let fields = d.fields;
  for (const name of d.seal ?? []) {
    const value = fields?.get(name);
    if (value !== undefined && !isSealed(value)) fields = withField(fields!, name, sealer!.seal(d.ref, name, value));
  }
  if (fields) out.fields = fields;
  if (d.clear) out.clear = [...d.clear].sort();
  if (d.act !== undefined) out.act = d.act;
  if (d.args) out.args = d.args;
  if (d.bucket) out.bucket = d.bucket;
  if (d.op === "act" || d.op === "put") return out;
  const v = await viewOf(t, d.ref, c.policyOf);
  if (!v) throw new Error(`${d.op} ${d.ref.kind}: there is no such record on this phone`);
  const seen = d.op === "delete" ? [...v.body.keys(), ...v.fields.keys()] : [...(fields?.keys() ?? []), ...(out.clear ?? [])];
  out.base = new Map<string, Stamp>(seen.map((name) => [name, versionOf(v, name).stamp]));
  return out;
}
