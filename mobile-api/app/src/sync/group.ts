// Changes and groups (PROTOCOL.md § 3).

import { type Fields, type Raw, encode, fieldsText, items, numberOf, parseFields, stringOf, validName } from "./canonical.ts";
import { utf8Length } from "./bytes.ts";
import { CanonicalError, GroupError } from "./errors.ts";
import { type Ref, type Stamp, parseCursor, parseRef, refText, splitStamp, validBucket, validId } from "./ids.ts";
import { maxDseq, maxGroupBytes, maxGroupChanges, maxIdLength } from "./limits.ts";

/** Op is what a change does to its record. */
export type Op = "put" | "set" | "act" | "delete";

/** Change is one device's intent on one record. `base` maps fields to the stamps that they had when they were edited. */
export interface Change {
  op: Op;
  ref: Ref;
  fields?: Fields;
  clear?: readonly string[];
  base?: ReadonlyMap<string, Stamp>;
  act?: string;
  args?: Fields;
  bucket?: string;
}

/** Origin tells where a reissued group was first captured. */
export interface Origin {
  readonly device: string;
  readonly dseq: number;
  readonly hash: string;
}

/** Clock is one reading of a phone's clocks; mono only goes forward while boot stays the same. Milliseconds. */
export interface Clock {
  readonly wall: number;
  readonly mono: number;
  readonly boot: string;
}

/** Group is what one device captured at one moment and what lives or dies together. Its bytes freeze at capture. */
export interface Group {
  device: string;
  dseq: number;
  gv: string;
  root: Ref;
  clock: Clock;
  catalog: number;
  origin?: Origin;
  changes: readonly Change[];
}

/** encodeGroup writes a group's canonical text and checks it against the rules. */
export function encodeGroup(g: Group): Raw {
  const origin = g.origin ? `,"origin":{"device":"${g.origin.device}","dseq":${g.origin.dseq},"hash":"${g.origin.hash}"}` : "";
  const s = `{"boot":${encode(g.clock.boot)},"catalog":${g.catalog},"changes":[${g.changes.map(changeText).join(",")}],"device":"${g.device}","dseq":${
    g.dseq
  },"gv":"${g.gv}","mono":${g.clock.mono}${origin},"root":"${refText(g.root)}","v":1,"wall":${g.clock.wall}}`;
  parseGroup(s);
  return s as Raw;
}

function changeText(c: Change): string {
  const m: string[] = [];
  if (c.op === "act") {
    m.push(`"act":"${c.act ?? ""}"`);
    if (c.args && c.args.size > 0) m.push(`"args":${fieldsText(c.args)}`);
  }
  if (c.op === "set" || c.op === "delete") m.push(`"base":${encode(c.base ?? new Map<string, string>())}`);
  if (c.bucket) m.push(`"bucket":"${c.bucket}"`);
  if (c.clear && c.clear.length > 0) m.push(`"clear":${encode(c.clear)}`);
  if (c.op === "put" || (c.op === "set" && c.fields && c.fields.size > 0)) m.push(`"fields":${fieldsText(c.fields ?? new Map<string, Raw>())}`);
  m.push(`"id":"${c.ref.id}"`, `"kind":"${c.ref.kind}"`, `"op":"${c.op}"`);
  return `{${m.join(",")}}`;
}

/** parseGroup reads a group and checks everything that the protocol alone can check; it throws a GroupError. */
export function parseGroup(s: string): Group {
  try {
    return readGroup(s);
  } catch (e) {
    if (e instanceof GroupError) throw e;
    throw new GroupError(e instanceof Error ? e.message : String(e));
  }
}

const groupMembers = ["boot", "catalog", "changes", "device", "dseq", "gv", "mono", "root", "v", "wall"];

function readGroup(s: string): Group {
  if (utf8Length(s) > maxGroupBytes) throw new GroupError(`larger than ${maxGroupBytes} bytes`);
  const o = parseFields(s);
  const unknown = [...o.keys()].find((n) => n !== "origin" && !groupMembers.includes(n));
  if (unknown !== undefined || o.size - (o.has("origin") ? 1 : 0) !== groupMembers.length) throw new GroupError("a member is missing or unknown");
  const origin = o.get("origin");
  const g: Group = {
    device: stringOf(o.get("device")),
    dseq: int(o, "dseq", 1),
    gv: str(o, "gv"),
    root: parseRef(stringOf(o.get("root"))),
    clock: { wall: int(o, "wall", -Infinity), mono: int(o, "mono", -Infinity), boot: str(o, "boot") },
    catalog: int(o, "catalog", 0),
    changes: readChanges(o.get("changes")!),
    ...(origin === undefined ? {} : { origin: readOrigin(origin) }),
  };
  if (o.get("v") !== "1") throw new GroupError("unknown version");
  if (!validId(g.device) || g.dseq > maxDseq || utf8Length(g.clock.boot) > maxIdLength) throw new GroupError("a member has the wrong form");
  if (g.gv !== "") parseCursor(g.gv);
  return g;
}

function str(o: Fields, name: string): string {
  if (o.get(name)![0] !== '"') throw new GroupError(`${name}: want a text`);
  return stringOf(o.get(name));
}

function int(o: Fields, name: string, least: number): number {
  const raw = o.get(name)!;
  if (!/^-?[0-9]/.test(raw) || Number(raw) < least) throw new GroupError(`${name}: want a number from ${least}`);
  return Number(raw);
}

function readOrigin(raw: Raw): Origin {
  const o = parseFields(raw);
  const origin = { device: stringOf(o.get("device")), dseq: numberOf(o.get("dseq")), hash: stringOf(o.get("hash")) };
  if (o.size !== 3 || !validId(origin.device) || origin.dseq < 1 || !validHash(origin.hash)) throw new GroupError("origin: want device, dseq and hash");
  return origin;
}

/** validHash reports whether s is 64 lower-case hex digits. */
export function validHash(s: string): boolean {
  return /^[0-9a-f]{64}$/.test(s);
}

function readChanges(raw: Raw): Change[] {
  const list = items(raw, maxGroupChanges);
  if (list.length === 0) throw new GroupError("changes: none");
  return list.map(readChange);
}

/** The members that each operation needs, and those that it may have. */
const members: Record<Op, { needs: string; may: readonly string[] }> = {
  put: { needs: "fields", may: ["bucket", "id", "kind", "op"] },
  set: { needs: "base", may: ["clear", "fields", "id", "kind", "op"] },
  act: { needs: "act", may: ["args", "id", "kind", "op"] },
  delete: { needs: "base", may: ["id", "kind", "op"] },
};

function readChange(raw: Raw): Change {
  const o = parseFields(raw);
  const op = stringOf(o.get("op")) as Op;
  if (!Object.hasOwn(members, op)) throw new GroupError(`unknown operation ${JSON.stringify(op.slice(0, 32))}`);
  const { needs, may } = members[op];
  const stray = [...o.keys()].find((n) => n !== needs && !may.includes(n));
  if (stray !== undefined || !o.has(needs)) throw new GroupError(`${op} lacks ${needs}, or has a member that does not go with it`);
  const c: Change = { op, ref: { kind: stringOf(o.get("kind")), id: stringOf(o.get("id")) } };
  if (!validName(c.ref.kind) || !validId(c.ref.id)) throw new GroupError("kind or id has the wrong form");
  for (const [name, value] of o) {
    if (name === "fields") c.fields = parseFields(value);
    else if (name === "args") c.args = parseFields(value);
    else if (name === "act") c.act = stringOf(value);
    else if (name === "bucket") c.bucket = stringOf(value);
    else if (name === "base") c.base = readBase(value);
    else if (name === "clear") c.clear = readClear(value);
  }
  checkChange(c);
  return c;
}

function readBase(raw: Raw): Map<string, Stamp> {
  const out = new Map<string, Stamp>();
  for (const [name, value] of parseFields(raw)) {
    const stamp = stringOf(value);
    if (!splitStamp(stamp)) throw new GroupError(`base of ${name}: not a stamp`);
    out.set(name, stamp);
  }
  return out;
}

function readClear(raw: Raw): string[] {
  let last = "";
  return items(raw).map((item) => {
    const name = stringOf(item);
    if (!validName(name) || name[0] === "_" || name <= last) throw new CanonicalError("clear: want field names in ascending order");
    return (last = name);
  });
}

function checkChange(c: Change): void {
  if (c.op === "act" && !validName(c.act!)) throw new GroupError("act has the wrong form");
  if (c.bucket !== undefined && !validBucket(c.bucket)) throw new GroupError("bucket has the wrong form");
  const written = [...(c.fields?.keys() ?? [])];
  if (written.some((n) => n[0] === "_")) throw new GroupError("a field that begins with '_'");
  if (c.op !== "set") return;
  const named = new Set([...written, ...(c.clear ?? [])]);
  const count = written.length + (c.clear?.length ?? 0);
  if (count === 0 || count !== c.base!.size || named.size !== count || [...named].some((n) => !c.base!.has(n))) {
    throw new GroupError("set: base must name exactly the written and cleared fields");
  }
}
