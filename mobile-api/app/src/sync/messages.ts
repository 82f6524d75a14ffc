// Control messages of a response (PROTOCOL.md § 5), read from JSON. What is absent has its zero value; what has another
// type than it should is refused; what is not known is left alone.

import { Refusal } from "./errors.ts";

type Json = { readonly [member: string]: unknown };

/** Outcome says what became of one group. */
export interface Outcome {
  dseq: number;
  status: string; // judged, held or rejected
  code: string;
  reason: string;
  expiry: number;
  changes: string[];
  at?: { bucket: string; seq: number };
}

/** HelloReply opens a response: where the server stands with this device. */
export interface HelloReply {
  incarnation: string;
  now: number;
  have: number;
  safe: number;
  witnessed: number;
}

/** Checkpoint says what a device that applied everything holds. */
export interface Checkpoint {
  bucket: string;
  incarnation: string;
  seq: number;
  count: number;
  digest: string;
}

/** textOf reads a text member. */
export function textOf(m: Json, name: string): string {
  const v = m[name];
  if (v === undefined || v === null) return "";
  if (typeof v !== "string") throw new Refusal("malformed", `${name}: want a text`);
  return v;
}

/** intOf reads a member that is a number from 0. */
export function intOf(m: Json, name: string): number {
  const v = m[name];
  if (v === undefined || v === null) return 0;
  if (!Number.isSafeInteger(v) || (v as number) < 0) throw new Refusal("malformed", `${name}: want a number`);
  return v as number;
}

/** flagOf reads a member that is true or false. */
export function flagOf(m: Json, name: string): boolean {
  const v = m[name];
  if (v !== undefined && v !== null && typeof v !== "boolean") throw new Refusal("malformed", `${name}: want true or false`);
  return v === true;
}

function listOf(m: Json, name: string): unknown[] {
  const v = m[name];
  if (v === undefined || v === null) return [];
  if (!Array.isArray(v)) throw new Refusal("malformed", `${name}: want a list`);
  return v;
}

function objectOf(v: unknown): Json {
  if (typeof v !== "object" || v === null || Array.isArray(v)) throw new Refusal("malformed", "want an object");
  return v as Json;
}

/** readHelloReply reads the payload of h. */
export function readHelloReply(m: Json): HelloReply {
  return { incarnation: textOf(m, "incarnation"), now: intOf(m, "now"), have: intOf(m, "have"), safe: intOf(m, "safe_dseq"), witnessed: intOf(m, "witnessed") };
}

/** readOutcomes reads the payload of o. */
export function readOutcomes(m: Json): Outcome[] {
  return listOf(m, "groups").map((x) => {
    const o = objectOf(x);
    const changes = listOf(o, "changes").map(String);
    const out: Outcome = { dseq: intOf(o, "dseq"), status: textOf(o, "status"), code: textOf(o, "code"), reason: textOf(o, "reason"), expiry: intOf(o, "expiry"), changes };
    if (o.at !== undefined && o.at !== null) out.at = { bucket: textOf(objectOf(o.at), "bucket"), seq: intOf(objectOf(o.at), "seq") };
    return out;
  });
}

/** readCheckpoint reads the payload of c. */
export function readCheckpoint(m: Json): Checkpoint {
  return { bucket: textOf(m, "bucket"), incarnation: textOf(m, "incarnation"), seq: intOf(m, "seq"), count: intOf(m, "count"), digest: textOf(m, "digest") };
}
