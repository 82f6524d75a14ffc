// Merging (PROTOCOL.md § 7): one pure function.

import { type Fields, type Raw, withField } from "./canonical.ts";
import type { Change } from "./group.ts";
import { type Ref, type Stamp, type Version, isAfter } from "./ids.ts";
import { type Rec, fieldDeleted, versionOf } from "./record.ts";

/** Policy says what becomes of concurrent writes to one field. */
export type Policy = "latest" | "review" | "server" | "once";

/** Rules is what merging needs from outside. `policyOf` answers for every name, unknown fields with "latest". `equal`
 * compares two values that differ in bytes; it opens sealed ones (Keyring.equal). */
export interface Rules {
  policyOf(kind: string, field: string): Policy;
  equal?(ref: Ref, field: string, a: Raw, b: Raw): boolean;
}

/** Loser is a value that does not come to stand, or no longer stands, although its author did not know of the other.
 * An undefined value is a removal; the field "" is a deletion of the whole record that lost against an edit. */
export interface Loser {
  readonly field: string;
  readonly value: Raw | undefined;
  readonly version: Version;
  readonly base: Stamp;
  readonly winner: Raw | undefined;
  readonly winnerVersion: Version;
  readonly newcomer: boolean; // the loser is the change just merged, not the value that stood
}

/** Merged is what became of one change. Where `code` is not "" nothing was written; "missing_base" is open, others final. */
export interface Merged {
  readonly record: Rec | undefined;
  readonly changed: boolean;
  readonly status: "applied" | "merged" | "conflict" | "";
  readonly losers: readonly Loser[];
  readonly code: "" | "missing_base" | "server_field" | "bad_change";
}

const refused = (code: Merged["code"]): Merged => ({ record: undefined, changed: false, status: "", losers: [], code });
const nothing: Fields = new Map();

/** merge applies a put, set or delete to the record as it stands, undefined where there is none. The version is the
 * change's own stamp and corrected time; only the server's own changes may write server fields. */
export function merge(cur: Rec | undefined, root: Ref | undefined, c: Change, v: Version, byServer: boolean, rules: Rules): Merged {
  const written = [...(c.fields?.keys() ?? []), ...(c.clear ?? [])];
  if (!byServer && written.some((f) => rules.policyOf(c.ref.kind, f) === "server")) return refused("server_field");
  if (c.op !== "put" && c.op !== "set" && c.op !== "delete") return refused("bad_change");
  if (!cur) {
    if (c.op !== "put") return refused("missing_base");
    const record: Rec = { ref: c.ref, root, version: v, fields: new Map(), deleted: false, body: c.fields ?? nothing };
    return { record, changed: true, status: "applied", losers: [], code: "" };
  }
  return c.op === "delete" ? mergeDelete(cur, c, v) : mergeFields(cur, c, v, rules);
}

/** mergeFields writes field by field. A put of an id that exists is a set whose author knew none of the fields. */
function mergeFields(cur: Rec, c: Change, v: Version, rules: Rules): Merged {
  let body = cur.body;
  const fields = new Map(cur.fields);
  const losers: Loser[] = [];
  let changed = false;
  let same = false;
  const write = (field: string, value: Raw | undefined) => {
    body = withField(body, field, value);
    fields.set(field, v);
    changed = true;
  };
  const one = (field: string, value: Raw | undefined) => {
    const have = cur.body.get(field), at = versionOf(cur, field), base = c.base?.get(field) ?? "";
    const policy = rules.policyOf(c.ref.kind, field);
    const concurrent = base !== at.stamp || c.op === "put";
    const lost: Loser = { field, value, version: v, base, winner: have, winnerVersion: at, newcomer: true };
    if (cur.deleted) losers.push({ ...lost, winner: undefined, winnerVersion: versionOf(cur, fieldDeleted) });
    else if (!concurrent && (policy !== "once" || have === undefined)) write(field, value);
    else if (have === value || (have !== undefined && value !== undefined && rules.equal?.(c.ref, field, have, value))) same = true;
    else if (policy === "latest" && isAfter(v, at)) {
      write(field, value);
      losers.push({ field, value: have, version: at, base, winner: value, winnerVersion: v, newcomer: false });
    } else losers.push(lost);
  };
  for (const [name, value] of c.fields ?? nothing) one(name, value);
  for (const name of c.clear ?? []) one(name, undefined);
  const status = losers.length > 0 ? "conflict" : same ? "merged" : "applied";
  return { record: { ...cur, body, fields: sorted(fields) }, changed, status, losers, code: "" };
}

/** mergeDelete deletes only what its author saw: an edit that he did not know of stands, and the deletion is the loser. */
function mergeDelete(cur: Rec, c: Change, v: Version): Merged {
  if (cur.deleted) return { record: cur, changed: false, status: "merged", losers: [], code: "" };
  const names = [...cur.body.keys(), ...cur.fields.keys()];
  if (names.some((f) => (c.base?.get(f) ?? "") !== versionOf(cur, f).stamp)) {
    const loser: Loser = { field: "", value: undefined, version: v, base: "", winner: undefined, winnerVersion: cur.version, newcomer: true };
    return { record: cur, changed: false, status: "conflict", losers: [loser], code: "" };
  }
  const fields = sorted(new Map(cur.fields).set(fieldDeleted, v));
  return { record: { ...cur, deleted: true, body: nothing, fields }, changed: true, status: "applied", losers: [], code: "" };
}

function sorted(m: Map<string, Version>): Map<string, Version> {
  return new Map([...m].sort((a, b) => (a[0] < b[0] ? -1 : 1)));
}
