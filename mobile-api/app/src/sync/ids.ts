// Names of things: stamps, references, cursors, buckets (PROTOCOL.md §§ 1, 2, 8).

import { byBytes, validName } from "./canonical.ts";
import { maxBucketLength, maxIdLength, maxInt } from "./limits.ts";

/** validId reports whether s may be the id of a record, a device, a user or an incarnation. */
export function validId(s: string): boolean {
  return s.length <= maxIdLength && /^[A-Za-z0-9_.-]+$/.test(s);
}

/** Stamp is "origin:n", the name of the change that last wrote a field; "" stands for "never written". */
export type Stamp = string;

/** makeStamp joins an origin and a change number. */
export function makeStamp(origin: string, n: number): Stamp {
  return `${origin}:${n}`;
}

/** splitStamp returns origin and number, or undefined for anything that is no stamp. */
export function splitStamp(s: Stamp): { origin: string; n: number } | undefined {
  const at = s.indexOf(":");
  const n = positive(s.slice(at + 1));
  return at < 0 || !validId(s.slice(0, at)) || n === undefined ? undefined : { origin: s.slice(0, at), n };
}

function positive(digits: string): number | undefined {
  return /^[1-9][0-9]{0,15}$/.test(digits) && Number(digits) <= maxInt ? Number(digits) : undefined;
}

/** Version is a stamp and the time, in milliseconds since 1970 UTC, that its change was taken to have. */
export interface Version {
  readonly stamp: Stamp;
  readonly time: number;
}

/** isAfter ranks concurrent versions by (time, origin, number). */
export function isAfter(a: Version, b: Version): boolean {
  if (a.time !== b.time) return a.time > b.time;
  const x = splitStamp(a.stamp) ?? { origin: "", n: 0 };
  const y = splitStamp(b.stamp) ?? { origin: "", n: 0 };
  return (byBytes(x.origin, y.origin) || x.n - y.n) > 0;
}

/** Ref names a record; in text it is "kind/id". */
export interface Ref {
  readonly kind: string;
  readonly id: string;
}

/** refText writes "kind/id". */
export function refText(r: Ref): string {
  return `${r.kind}/${r.id}`;
}

/** parseRef reads "kind/id" and throws on anything else. */
export function parseRef(s: string): Ref {
  const at = s.indexOf("/");
  const ref = { kind: s.slice(0, Math.max(at, 0)), id: s.slice(at + 1) };
  if (at < 0 || !validName(ref.kind) || !validId(ref.id)) throw new Error(`bad reference ${JSON.stringify(s.slice(0, 32))}: want kind/id`);
  return ref;
}

/** sameRef compares two references. */
export function sameRef(a: Ref, b: Ref): boolean {
  return a.kind === b.kind && a.id === b.id;
}

/** Cursor is a place in one bucket's feed; in text it is "incarnation:seq". */
export interface Cursor {
  readonly incarnation: string;
  readonly seq: number;
}

/** cursorText writes "incarnation:seq". */
export function cursorText(c: Cursor): string {
  return `${c.incarnation}:${c.seq}`;
}

/** parseCursor reads "incarnation:seq" and throws on anything else. */
export function parseCursor(s: string): Cursor {
  const at = s.indexOf(":");
  const incarnation = s.slice(0, Math.max(at, 0));
  const digits = s.slice(at + 1);
  const seq = digits === "0" ? 0 : positive(digits);
  if (at < 0 || !validId(incarnation) || seq === undefined) throw new Error(`bad cursor ${JSON.stringify(s.slice(0, 32))}: want incarnation:seq`);
  return { incarnation, seq };
}

/** validBucket reports whether s is the name of a bucket. */
export function validBucket(s: string): boolean {
  if (s.length > maxBucketLength) return false;
  const m = /^(user|grid|desk):(.*)$/s.exec(s);
  return s === "ref" || (m !== null && validId(m[2]!));
}

/** deviceBucket reports whether phones may ever receive the bucket. */
export function deviceBucket(s: string): boolean {
  return validBucket(s) && !s.startsWith("desk:");
}
