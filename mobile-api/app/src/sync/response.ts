// What a device hears: a response, frame by frame. It can be given up between any two frames: what was staged at a page
// stays, what was not is fetched again.

import { text } from "./bytes.ts";
import { Refusal } from "./errors.ts";
import { type Frame, message, parseRow } from "./frames.ts";
import { cursorText, deviceBucket, refText } from "./ids.ts";
import { MismatchError, type Arrived, applyCheckpoint, forget, incident } from "./checkpoint.ts";
import { flagOf, intOf, readCheckpoint, readHelloReply, readOutcomes, textOf } from "./messages.ts";
import { type CursorState, entries, keys, loadState, prune, settle, unsettle } from "./outbox.ts";
import { parseEnvelope } from "./record.ts";
import { verifyReceipt } from "./sign.ts";
import { type Store, type Tx, clearPrefix, getJson, putJson } from "./store.ts";
import { bearWitness } from "./witness.ts";

/** Staging is how far rows of a bucket have arrived that are not visible yet. */
export interface Staging {
  incarnation: string;
  seq: number;
  fresh: boolean; // they replace the bucket, however many responses bring them
}

/** Hearing is what a response needs of its engine. */
export interface Hearing {
  readonly store: Store;
  readonly device: string;
  readonly userBucket: string;
  readonly serverKey: Uint8Array;
  /** dropped is told that rows, and maybe keys, were erased. */
  dropped(): void;
}

/** Fault is why rows are missing behind a push that was stored. */
export interface Fault {
  code: string;
  message: string;
}

/** Response takes one response. */
export class Response {
  private frames = 0;
  private incarnation = "";
  private server = 0; // the server's clock: what may be forgotten is decided by it, since a phone's may jump by years
  private bucket = "";
  private stage: Staging = { incarnation: "", seq: 0, fresh: false };
  private afresh = false; // the open bucket began afresh in this response: what was staged before is void
  private rows: Arrived = new Map();
  private fault: Fault | undefined;
  private end: { frames: number; more: boolean } | undefined;

  constructor(
    private readonly e: Hearing,
    private readonly now: number, // the device's wall clock, for the record
    private readonly asked: { pulls: boolean; witnesses: string[] },
  ) {}

  /** frame takes the next frame. Frames are given one after another. */
  async frame(f: Frame): Promise<void> {
    if (this.end) throw new Refusal("malformed", "a frame behind the end");
    if ((f.type === "h") !== (this.frames === 0)) throw new Refusal("malformed", "a response opens with one hello");
    this.frames++;
    switch (f.type) {
      case "h": return this.hello(f);
      case "o": return this.outcomes(f);
      case "q": return this.receipt(f);
      case "b": return this.begin(f);
      case "r": return this.row(f.payload);
      case "x": return this.exit(f);
      case "p": return this.page(f);
      case "c": return this.checkpoint(f);
      case "d": return this.drop(f);
      case "e": {
        const m = message(f);
        this.fault = { code: textOf(m, "code"), message: textOf(m, "message") };
        return;
      }
      case "E": {
        const m = message(f);
        this.end = { frames: intOf(m, "frames"), more: flagOf(m, "more") };
      }
    }
    // A frame of a later version says nothing that version 1 needs.
  }

  /** finish says whether to exchange again, and why rows are missing. It throws where the response was cut short. */
  async finish(): Promise<{ more: boolean; fault: Fault | undefined }> {
    const { end, fault } = this;
    if (!end || end.frames !== this.frames - 1) throw new Refusal("truncated", "the response was cut short");
    const more = await this.e.store.update(async (t) => {
      const st = await loadState(t);
      st.syncedAt = this.now;
      if (fault && (fault.code === "fork" || fault.code === "revoked")) st.trouble = fault.code;
      await putJson(t, keys.state, st);
      if (this.asked.pulls && !fault && !end.more) await this.unreachable(t);
      return end.more || (st.trouble === "" && st.have + 1 < st.next);
    });
    return { more, fault };
  }

  /** unreachable releases groups whose rows lie where this device does not look any more, or whose place another incarnation
   * told: its whole scope has arrived, and they with it or never. */
  private async unreachable(t: Tx): Promise<void> {
    for (const x of await entries(t)) {
      if (x.state !== "awaiting" || !x.at || (x.life === this.incarnation && (await t.get(keys.cursor(x.at.bucket))))) continue;
      await putJson(t, keys.entry(x.dseq), { ...x, state: "done", doneAt: this.server });
    }
  }

  private async hello(f: Frame): Promise<void> {
    const h = readHelloReply(message(f));
    this.incarnation = h.incarnation;
    this.server = h.now;
    await this.e.store.update(async (t) => {
      const st = await loadState(t);
      if (st.incarnation !== "" && st.incarnation !== h.incarnation) st.photosAgain = true;
      for (const key of this.asked.witnesses.slice(0, h.witnessed)) await t.delete(key);
      st.incarnation = h.incarnation;
      st.safe = h.safe;
      if (h.have >= st.next) st.trouble = "fork"; // this phone was put back from a backup: its numbers were given away
      // What the server has beyond is not taken over: its outcomes have not been heard yet.
      if (h.have < st.have) {
        await unsettle(t, h.have);
        st.have = h.have;
      }
      await prune(t, st, this.server);
      await putJson(t, keys.state, st);
    });
  }

  private async outcomes(f: Frame): Promise<void> {
    const list = readOutcomes(message(f));
    await this.e.store.update(async (t) => {
      const st = await loadState(t);
      for (const x of await entries(t)) {
        const o = list.find((y) => y.dseq === x.dseq);
        if (!o) continue;
        await settle(t, x, o, { server: this.server, incarnation: this.incarnation });
        st.have = Math.max(st.have, x.last);
      }
      await putJson(t, keys.state, st);
    });
  }

  private async receipt(f: Frame): Promise<void> {
    const m = message(f);
    const r = { receipt: textOf(m, "receipt"), sig: textOf(m, "sig") };
    if (!verifyReceipt(this.e.serverKey, r)) throw new Refusal("bad_signature", "the receipt is not signed by the server");
    await this.e.store.update((t) => putJson(t, keys.receipt, r));
  }

  /** begin opens a bucket. Rows that were staged before go on being staged, unless the server starts afresh. */
  private async begin(f: Frame): Promise<void> {
    const m = message(f);
    const bucket = textOf(m, "bucket"), fresh = flagOf(m, "fresh");
    if (!deviceBucket(bucket) || this.bucket !== "") throw new Refusal("malformed", "a bucket that cannot be here");
    this.bucket = bucket;
    this.afresh = fresh;
    const staged = await this.e.store.view((t) => getJson<Staging>(t, keys.staging(bucket)));
    this.stage = !fresh && staged ? staged : { incarnation: this.incarnation, seq: intOf(m, "from"), fresh };
  }

  private async row(payload: Uint8Array): Promise<void> {
    if (this.bucket === "") throw new Refusal("malformed", "a row outside of a bucket");
    this.rows.set(refText(parseEnvelope(text(parseRow(payload).envelope)).ref), payload);
  }

  private async exit(f: Frame): Promise<void> {
    if (this.bucket === "") throw new Refusal("malformed", "an exit outside of a bucket");
    const m = message(f);
    this.rows.set(refText({ kind: textOf(m, "kind"), id: textOf(m, "id") }), new Uint8Array());
  }

  /** page makes what has arrived durable without showing it. */
  private async page(f: Frame): Promise<void> {
    const seq = intOf(message(f), "seq");
    if (this.bucket === "") throw new Refusal("malformed", "a page outside of a bucket");
    await this.e.store.update(async (t) => {
      if (this.afresh) await clearPrefix(t, keys.staged(this.bucket));
      await Promise.all([...this.rows].map(([ref, row]) => t.put(keys.staged(this.bucket) + ref, row)));
      await putJson(t, keys.staging(this.bucket), { ...this.stage, seq, incarnation: this.incarnation });
    });
    this.close();
  }

  /** checkpoint makes everything that arrived of a bucket visible at once. Where the device's own rows do not add up, it
   * writes an incident down and fetches the bucket afresh. */
  private async checkpoint(f: Frame): Promise<void> {
    const c = readCheckpoint(message(f));
    if (c.bucket !== this.bucket || this.bucket === "") throw new Refusal("malformed", "a checkpoint of another bucket");
    const { stage, afresh, rows, server } = this;
    try {
      await this.e.store.update((t) => applyCheckpoint(t, this.e, c, { stage, afresh, rows, server, incarnation: this.incarnation }));
    } catch (e) {
      if (!(e instanceof MismatchError)) throw e;
      await this.e.store.update((t) => incident(t, c, this.now));
    }
    if (stage.fresh) this.e.dropped();
    this.close();
  }

  private close(): void {
    this.rows = new Map();
    this.bucket = "";
  }

  private async drop(f: Frame): Promise<void> {
    const bucket = textOf(message(f), "bucket");
    await this.e.store.update(async (t) => {
      const cur = await getJson<CursorState>(t, keys.cursor(bucket));
      if (cur) await putJson(t, keys.left(bucket), { bucket, cursor: cursorText(cur), count: cur.count, digest: cur.digest });
      await bearWitness(t, this.e.device, bucket, this.incarnation, new Map());
      await forget(t, bucket);
      await t.delete(keys.cursor(bucket));
    });
    this.e.dropped();
  }
}
