// Frames (PROTOCOL.md § 5): 1 byte of type, 4 bytes of length, the payload.

import { concat, utf8 } from "./bytes.ts";
import { Refusal } from "./errors.ts";
import { maxDseq, maxFrameBytes, maxGroupChanges, maxInt } from "./limits.ts";

/** Frame is one frame in memory; its type is the ASCII letter of PROTOCOL.md. */
export interface Frame {
  readonly type: string;
  readonly payload: Uint8Array;
}

/** frame writes a frame. */
export function frame(type: string, payload: Uint8Array): Uint8Array {
  if (payload.length > maxFrameBytes) throw new Refusal("too_large", "frame larger than allowed");
  const out = new Uint8Array(5 + payload.length);
  out[0] = type.charCodeAt(0);
  view(out).setUint32(1, payload.length);
  out.set(payload, 5);
  return out;
}

/** jsonFrame writes a frame whose payload is a control message. */
export function jsonFrame(type: string, message: object): Uint8Array {
  return frame(type, utf8(JSON.stringify(message)));
}

/** message reads the payload of a control frame: a JSON object. Members that are not known are left alone. */
export function message(f: Frame): { readonly [member: string]: unknown } {
  let v: unknown;
  try {
    v = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(f.payload));
  } catch {
    throw new Refusal("malformed", `frame ${f.type}: not JSON`);
  }
  if (typeof v !== "object" || v === null || Array.isArray(v)) throw new Refusal("malformed", `frame ${f.type}: not an object`);
  return v as { readonly [member: string]: unknown };
}

/** FrameReader takes frames off a stream that arrives in chunks of any size, and bounds what it keeps. */
export class FrameReader {
  private parts: Uint8Array[] = [];
  private size = 0;

  /** push takes the next chunk and returns the frames that it completes. */
  push(chunk: Uint8Array): Frame[] {
    this.parts.push(chunk);
    this.size += chunk.length;
    const out: Frame[] = [];
    for (let need = this.need(); need > 0 && this.size >= need; need = this.need()) {
      const all = this.gather();
      out.push({ type: String.fromCharCode(all[0]!), payload: all.slice(5, need) });
      this.parts = [all.subarray(need)];
      this.size = all.length - need;
    }
    return out;
  }

  /** end throws a Refusal where the stream ends inside a frame. */
  end(): void {
    if (this.size > 0) throw new Refusal("truncated", "ends inside a frame");
  }

  /** need is the length of the next frame with its head, 0 where it is not known yet. */
  private need(): number {
    if (this.size < 5) return 0;
    if (this.parts[0]!.length < 5) this.gather();
    const n = view(this.parts[0]!).getUint32(1);
    if (n > maxFrameBytes) throw new Refusal("too_large", "frame larger than allowed");
    return 5 + n;
  }

  private gather(): Uint8Array {
    if (this.parts.length > 1) this.parts = [concat(...this.parts)];
    return this.parts[0]!;
  }
}

/** readFrames splits bytes that must hold whole frames. */
export function readFrames(b: Uint8Array): Frame[] {
  const r = new FrameReader();
  const list = r.push(b);
  r.end();
  return list;
}

/** groupPayload is the payload of a group frame: the numbering beside the group's bytes. */
export function groupPayload(dseq: number, changes: number, group: Uint8Array): Uint8Array {
  const head = new Uint8Array(10);
  view(head).setBigUint64(0, BigInt(dseq));
  view(head).setUint16(8, changes);
  return concat(head, group);
}

/** parseGroupPayload splits the payload of a group frame; it does not look inside the group. */
export function parseGroupPayload(p: Uint8Array): { dseq: number; changes: number; bytes: Uint8Array } {
  if (p.length < 10) throw new Refusal("malformed", "group frame cut short");
  const dseq = Number(view(p).getBigUint64(0));
  const changes = view(p).getUint16(8);
  if (dseq < 1 || dseq > maxDseq || changes < 1 || changes > maxGroupChanges) throw new Refusal("malformed", "group frame with a number out of range");
  return { dseq, changes, bytes: p.subarray(10) };
}

/** Row is the payload of a row frame, split. */
export interface Row {
  readonly seq: number;
  readonly envelope: Uint8Array;
  readonly body: Uint8Array;
}

/** rowPayload is the payload of a row frame. */
export function rowPayload(r: Row): Uint8Array {
  const head = new Uint8Array(12);
  view(head).setBigUint64(0, BigInt(r.seq));
  view(head).setUint32(8, r.envelope.length);
  return concat(head, r.envelope, r.body);
}

/** parseRow splits the payload of a row frame; it does not look inside. */
export function parseRow(p: Uint8Array): Row {
  if (p.length < 12) throw new Refusal("malformed", "row frame cut short");
  const n = view(p).getUint32(8);
  const seq = view(p).getBigUint64(0);
  if (n > p.length - 12 || seq > BigInt(maxInt)) throw new Refusal("malformed", "row frame cut short, or with a seq out of range");
  return { seq: Number(seq), envelope: p.subarray(12, 12 + n), body: p.subarray(12 + n) };
}

function view(b: Uint8Array): DataView {
  return new DataView(b.buffer, b.byteOffset, b.byteLength);
}
