// What a person sees: rows, the overlay over them, and sealed fields opened.

import { text } from "./bytes.ts";
import { type Value, parseFields, stringOf, valueOf } from "./canonical.ts";
import { parseRow } from "./frames.ts";
import { derivedId } from "./hash.ts";
import { type Ref, makeStamp, parseRef, refText } from "./ids.ts";
import type { Policy } from "./merge.ts";
import { entries, frozenGroup, keys, overlays } from "./outbox.ts";
import { type PendingChange, overlay } from "./overlay.ts";
import { type Rec, parseRecord } from "./record.ts";
import { Keyring, type Sealer, isSealed, sealedBy } from "./seal.ts";
import type { Reading } from "./store.ts";

/** View is a record as a person sees it. `bucket` is "" for what the server does not know yet. */
export interface View extends Rec {
  readonly bucket: string;
  readonly pending: boolean;
  readonly acts: readonly string[];
}

/** recordOf reads the payload of a row frame. */
export function recordOf(payload: Uint8Array): Rec {
  const row = parseRow(payload);
  return parseRecord(text(row.envelope), text(row.body));
}

/** pendingChanges are the changes that lie over the server's rows, in order of capture. */
export async function pendingChanges(t: Reading): Promise<PendingChange[]> {
  const list: PendingChange[] = [];
  for (const x of await entries(t)) {
    if (!overlays(x)) continue;
    const g = await frozenGroup(t, x.dseq);
    g.changes.forEach((change, i) => list.push({ root: g.root, change, version: { stamp: makeStamp(g.device, g.dseq + i), time: g.clock.wall } }));
  }
  return list;
}

/** viewOf is a record with everything pending merged over it, or undefined. */
export async function viewOf(t: Reading, ref: Ref, policyOf: (kind: string, field: string) => Policy, pending?: PendingChange[]): Promise<View | undefined> {
  const place = await t.get(keys.place(refText(ref)));
  const bucket = place ? text(place) : "";
  const row = place && (await t.get(keys.rows(bucket) + refText(ref)));
  const over = overlay(row ? recordOf(row) : undefined, ref, pending ?? (await pendingChanges(t)), { policyOf });
  return over.record && { ...over.record, bucket, pending: over.pending, acts: over.acts };
}

/** listOf is every record of a kind that the phone has, pending ones included, in order of ids, new ones last. */
export async function listOf(t: Reading, kind: string, policyOf: (kind: string, field: string) => Policy): Promise<View[]> {
  const pending = await pendingChanges(t);
  const refs = new Set((await t.scan(keys.place(`${kind}/`))).map(([key]) => key.slice(keys.place("").length)));
  for (const p of pending) if (p.change.ref.kind === kind && p.change.op === "put") refs.add(refText(p.change.ref));
  const list: View[] = [];
  for (const ref of refs) {
    const v = await viewOf(t, parseRef(ref), policyOf, pending);
    if (v) list.push(v);
  }
  return list;
}

/** Ring is everything that a device can open: the user's keys open the bucket keys in the grants, those open the case keys
 * in the key records. A key stays on the ring once it was opened, since its id is its hash. */
export class Ring extends Keyring {
  private buckets = new Map<string, string>(); // bucket → id of its key

  constructor(
    userKeys: readonly Uint8Array[],
    private readonly userBucket: string,
  ) {
    super();
    for (const k of userKeys) this.add(k);
  }

  /** grants opens the user's former keys in the key record of the own bucket, and the bucket keys in the grants. */
  async grants(t: Reading): Promise<void> {
    for (const kind of ["key", "grant"]) {
      for (const [, payload] of await t.scan(`${keys.rows(this.userBucket)}${kind}/`)) {
        const rec = recordOf(payload);
        this.unwrap(rec.ref, rec.body.get("keys"));
        if (kind === "grant") this.buckets.set(stringOf(rec.body.get("bucket")), newestOf(rec));
      }
    }
  }

  /** lacks reports whether an active grant, the key record or a sealed value in the own bucket needs a key that is not here:
   * the user's key was rotated, and new tokens bring the newest. Grants that have ended need none. */
  async lacks(t: Reading): Promise<boolean> {
    await this.everything(t);
    return (await t.scan(keys.rows(this.userBucket))).some(([, payload]) => {
      const rec = recordOf(payload);
      const current = stringOf(rec.body.get("current"));
      if (rec.ref.kind === "grant") return stringOf(rec.body.get("state")) === "active" && !this.get(newestOf(rec));
      if (rec.ref.kind === "key") return current !== "" && !this.get(current);
      return [...rec.body.values()].some((x) => isSealed(x) && !this.get(sealedBy(x)));
    });
  }

  /** ofBucket is the sealer under a bucket's key, undefined where it is not granted. */
  ofBucket(bucket: string): Sealer | undefined {
    return this.get(this.buckets.get(bucket) ?? "");
  }

  /** everything opens every case key on this phone, those of households that were captured here included. */
  async everything(t: Reading): Promise<void> {
    await this.grants(t);
    for (const [key] of await t.scan(keys.cursors)) {
      const bucket = key.slice(keys.cursors.length);
      for (const [, payload] of await t.scan(`${keys.rows(bucket)}key/`)) {
        const rec = recordOf(payload);
        this.unwrap(rec.ref, rec.body.get("keys"));
      }
    }
    for (const p of await pendingChanges(t)) {
      if (p.change.ref.kind === "key" && p.change.op === "put") this.unwrap(p.change.ref, p.change.fields?.get("keys"));
    }
  }

  /** current is the sealer for new values of a root; it throws with what a person can do. */
  async current(t: Reading, root: Ref, policyOf: (kind: string, field: string) => Policy): Promise<Sealer> {
    const v = await viewOf(t, keyRecord(root), policyOf);
    if (!v) throw new Error("the key of this household is not on this phone: sync first");
    await this.grants(t);
    this.unwrap(v.ref, v.body.get("keys"));
    const s = this.get(stringOf(v.body.get("current")));
    if (!s) throw new Error("the key of this household cannot be opened on this phone: sync first");
    return s;
  }

  /** opened is a record's fields in the open; those whose key is not here are named in `locked`. */
  async opened(t: Reading, v: Rec): Promise<{ fields: Map<string, Value>; locked: string[] }> {
    if ([...v.body.values()].some((x) => isSealed(x) && !this.get(sealedBy(x)))) await this.everything(t);
    const fields = new Map<string, Value>();
    const locked: string[] = [];
    for (const [name, raw] of v.body) {
      try {
        fields.set(name, valueOf(this.open(v.ref, name, raw)));
      } catch {
        locked.push(name);
      }
    }
    return { fields, locked };
  }
}

/** newestOf is the id of the bucket key that a grant names; one without `current` has a single key. */
function newestOf(grant: Rec): string {
  const wrapped = grant.body.get("keys");
  return stringOf(grant.body.get("current")) || (wrapped === undefined ? "" : ([...parseFields(wrapped).keys()].pop() ?? ""));
}

/** keyRecord names the record that carries the case keys of a root. */
export function keyRecord(root: Ref): Ref {
  return { kind: "key", id: derivedId("key", refText(root)) };
}

