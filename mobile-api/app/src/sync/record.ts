// Records: the envelope that the protocol knows of a record, and its body (PROTOCOL.md § 2).

import { type Fields, type Raw, fieldsText, numberOf, parseFields, stringOf, validName } from "./canonical.ts";
import { type Ref, type Stamp, type Version, parseRef, refText, splitStamp, validId } from "./ids.ts";

/** fieldDeleted is the name under which an envelope keeps the version of a deletion. It never appears in a body. */
export const fieldDeleted = "_deleted";

/** Envelope says who made a record and who wrote its fields. `fields` are those written since the put, in order of names. */
export interface Envelope {
  readonly ref: Ref;
  readonly root: Ref | undefined;
  readonly version: Version;
  readonly fields: ReadonlyMap<string, Version>;
  readonly deleted: boolean;
}

/** Rec is an envelope with its body. The body of a deleted record is empty. */
export interface Rec extends Envelope {
  readonly body: Fields;
}

/** versionOf is the version of a field: its own where it has one, else the record's. */
export function versionOf(e: Envelope, field: string): Version {
  return e.fields.get(field) ?? e.version;
}

/** carries reports whether a record holds something that the change with the stamp wrote. */
export function carries(e: Envelope, stamp: Stamp): boolean {
  return e.version.stamp === stamp || [...e.fields.values()].some((v) => v.stamp === stamp);
}

/** envelopeText writes an envelope in canonical JSON. */
export function envelopeText(e: Envelope): Raw {
  const names = [...e.fields.keys()].sort();
  const f = names.map((n) => `"${n}":["${e.fields.get(n)!.stamp}",${e.fields.get(n)!.time}]`).join(",");
  return `{${f === "" ? "" : `"f":{${f}},`}"id":"${e.ref.id}","k":"${e.ref.kind}"${e.root ? `,"r":"${refText(e.root)}"` : ""},"s":"${e.version.stamp}","t":${
    e.version.time
  }${e.deleted ? `,"x":true` : ""}}` as Raw;
}

/** parseEnvelope reads an envelope and refuses every form but the one that envelopeText writes. */
export function parseEnvelope(s: string): Envelope {
  const o = parseFields(s);
  const root = o.get("r");
  const e: Envelope = {
    ref: { kind: stringOf(o.get("k")), id: stringOf(o.get("id")) },
    root: root === undefined ? undefined : parseRef(stringOf(root)),
    version: { stamp: stringOf(o.get("s")), time: numberOf(o.get("t")) },
    fields: parseVersions(o.get("f")),
    deleted: o.get("x") === "true",
  };
  if (!validName(e.ref.kind) || !validId(e.ref.id) || !splitStamp(e.version.stamp) || envelopeText(e) !== s) {
    throw new Error("bad envelope: a member is missing, unknown or has the wrong form");
  }
  return e;
}

function parseVersions(f: Raw | undefined): Map<string, Version> {
  const out = new Map<string, Version>();
  if (f === undefined) return out;
  for (const [name, value] of parseFields(f)) {
    const m = /^\["([^"]*)",(-?[0-9]+)\]$/.exec(value);
    if (m === null || !splitStamp(m[1]!)) throw new Error(`bad envelope: field ${name}: want [stamp, milliseconds]`);
    out.set(name, { stamp: m[1]!, time: Number(m[2]) });
  }
  return out;
}

/** parseRecord reads an envelope and a body. */
export function parseRecord(envelope: string, body: string): Rec {
  return { ...parseEnvelope(envelope), body: parseFields(body) };
}

/** bodyText writes a record's body. */
export function bodyText(r: Rec): Raw {
  return fieldsText(r.body);
}
