// A server as small as can be, whose responses a test writes frame by frame.

import { hex, text, utf8 } from "../src/sync/bytes.ts";
import { chainStart } from "../src/sync/chain.ts";
import { Digest, rowHash } from "../src/sync/digest.ts";
import { Engine, type Identity, enrol } from "../src/sync/engine.ts";
import { frame, type Frame, jsonFrame, message, parseGroupPayload, readFrames, rowPayload } from "../src/sync/frames.ts";
import type { Asked } from "../src/sync/request.ts";
import { Sealer, keyId } from "../src/sync/seal.ts";
import { seedSigner } from "../src/sync/sign.ts";
import { MemoryStore, type Store } from "../src/sync/store.ts";
import { keyRecord } from "../src/sync/view.ts";
import { openIdb } from "./idb.ts";

export const clock = { wall: 1_764_000_000_000, mono: 1, boot: "b" };
export const grid = "grid:430681101200-001";
export const userKey = new Uint8Array(32).fill(7), gridKey = new Uint8Array(32).fill(8), caseKey = new Uint8Array(32).fill(9);
export const home = { kind: "household", id: "h1" };
export const signer = seedSigner(new Uint8Array(32).fill(5));

/** identity is an enrolment of the one user of these tests. */
export function identity(device = "d"): Identity {
  return { device, user: "u", userName: "网格员", region: "r", role: "grid_worker", server: "http://server", userKey, serverKey: signer.publicKey };
}

let stores = 0;

/** newStore is on IndexedDB, where there is one. */
export function newStore(): Promise<Store> {
  return "indexedDB" in globalThis ? openIdb(`test-${stores++}`) : Promise.resolve(new MemoryStore());
}

/** newDevice is an enrolled device that has pulled its grant, the key of its grid and one household. */
export async function newDevice(store?: Store): Promise<{ engine: Engine; server: Server; store: Store }> {
  const s = store ?? (await newStore());
  await enrol(s, identity());
  const engine = await Engine.open(s, { signer, catalog: 1 });
  const server = new Server();
  const grant = { kind: "grant", id: "g1" }, key = keyRecord(home);
  server.put("user:u", "grant", "g1", `{"bucket":"${grid}","keys":{"${keyId(gridKey)}":${new Sealer(userKey).wrap(grant, gridKey)}}}`);
  server.put(grid, "key", key.id, `{"current":"${keyId(caseKey)}","keys":{"${keyId(caseKey)}":${new Sealer(gridKey).wrap(key, caseKey)}},"root":"household/h1"}`);
  server.put(grid, "household", "h1", `{"code":"H-1","members_count":3}`);
  await server.answer(engine);
  return { engine, server, store: s };
}

/** Heard is a request, taken apart. */
export interface Heard {
  types: string;
  groups: string[]; // their texts
  want: { cursors: { bucket: string; cursor: string }[]; left: { bucket: string }[] } | undefined;
  asked: Asked;
}

/** hear builds the engine's next request and takes it apart. */
export async function hear(engine: Engine): Promise<Heard> {
  const asked = await engine.request(clock);
  const frames = readFrames(asked.bytes);
  const want = frames.find((f) => f.type === "W");
  return {
    types: frames.map((f) => f.type).join(""),
    groups: frames.filter((f) => f.type === "G").map((f) => text(parseGroupPayload(f.payload).bytes)),
    want: want && (message(want) as unknown as Heard["want"]),
    asked,
  };
}

/** Server keeps rows by bucket and writes responses. */
export class Server {
  incarnation = "inc-1";
  have = 0;
  safe = 0;
  seq = 0;
  private buckets = new Map<string, Map<string, { seq: number; envelope: Uint8Array; body: Uint8Array }>>();

  put(bucket: string, kind: string, id: string, body: string, stamp = `${this.incarnation}:${this.seq + 1}`): number {
    const rows = this.buckets.get(bucket) ?? new Map();
    this.buckets.set(bucket, rows);
    const envelope = `{"id":"${id}","k":"${kind}","r":"household/h1","s":"${stamp}","t":${clock.wall}}`;
    rows.set(`${kind}/${id}`, { seq: ++this.seq, envelope: utf8(envelope), body: utf8(body) });
    return this.seq;
  }

  hello(): Uint8Array {
    return jsonFrame("h", { version: 1, catalog: 1, incarnation: this.incarnation, now: clock.wall, have: this.have, head: chainStart("d"), safe_dseq: this.safe });
  }

  /** bucket writes the rows of a bucket behind a seq, whole where fresh, with its checkpoint. */
  bucket(name: string, from: number, fresh: boolean): Uint8Array[] {
    const rows = [...(this.buckets.get(name)?.values() ?? [])];
    const sum = rows.reduce((d, r) => d.add(rowHash(r.envelope, r.body)), Digest.zero);
    return [
      jsonFrame("b", fresh ? { bucket: name, from, fresh } : { bucket: name, from }),
      ...rows.filter((r) => fresh || r.seq > from).map((r) => frame("r", rowPayload(r))),
      jsonFrame("c", { bucket: name, incarnation: this.incarnation, seq: this.seq, count: rows.length, digest: hex(sum.bytes) }),
    ];
  }

  /** pull writes what the cursors of a request miss. */
  pull(h: Heard): Uint8Array[] {
    return [...this.buckets.keys()].sort().reverse().flatMap((name) => {
      const [incarnation, seq] = (h.want?.cursors.find((c) => c.bucket === name)?.cursor ?? ":0").split(":");
      const fresh = incarnation !== this.incarnation;
      return this.bucket(name, fresh ? 0 : Number(seq), fresh);
    });
  }

  /** answer exchanges once: outcomes, then frames of the test's own, then what the device's cursors miss. */
  async answer(engine: Engine, outcomes: object[] = [], more: Uint8Array[] = []): Promise<{ more: boolean; heard: Heard }> {
    const heard = await hear(engine);
    const frames = [this.hello(), ...(outcomes.length > 0 ? [jsonFrame("o", { groups: outcomes })] : []), ...more, ...this.pull(heard)];
    return { more: await take(engine, heard.asked, frames), heard };
  }
}

/** take hands a response to the engine, with its end. */
export async function take(engine: Engine, asked: Asked, frames: Uint8Array[], end: object = { frames: frames.length }): Promise<boolean> {
  const r = engine.response(clock, asked);
  for (const f of [...frames, jsonFrame("E", end)]) await r.frame(one(f));
  return (await r.finish()).more;
}

/** one reads a single frame. */
export function one(b: Uint8Array): Frame {
  return readFrames(b)[0]!;
}
