// A phone that is told what to do, a line of JSON each: web_test.go drives it against the real server.

import { hex } from "../src/sync/bytes.ts";
import { fieldsText, parseFields } from "../src/sync/canonical.ts";
import type { Draft } from "../src/sync/capture.ts";
import { Engine, enrol } from "../src/sync/engine.ts";
import { Problem, enrolAt, sync } from "../src/sync/transport.ts";
import { parseRef, refText } from "../src/sync/ids.ts";
import { envelopeText } from "../src/sync/record.ts";
import { seedSigner } from "../src/sync/sign.ts";
import { MemoryStore } from "../src/sync/store.ts";
import { keys } from "../src/sync/outbox.ts";

/** Command is one thing to do. */
export interface Command {
  do: "enrol" | "sync" | "capture" | "view" | "list" | "status" | "backup" | "restore" | "reissue" | "spoil";
  server?: string;
  code?: string;
  wall?: number;
  root?: string;
  ref?: string;
  kind?: string;
  bucket?: string;
  drafts?: { op: Draft["op"]; ref: string; fields?: string; clear?: string[]; act?: string; bucket?: string; seal?: string[] }[];
}

/** Phone carries commands out. */
export class Phone {
  private store = new MemoryStore();
  private kept = this.store;
  private engine: Engine | undefined;
  private token = "";
  private wall = 0;
  private readonly clock = () => ({ wall: this.wall, mono: this.wall, boot: "boot" });

  async run(c: Command): Promise<unknown> {
    if (c.wall !== undefined) this.wall = c.wall;
    switch (c.do) {
      case "enrol": return this.enrol(c, false);
      case "reissue": return this.enrol(c, true);
      case "sync": return this.sync();
      case "capture": return this.capture(c);
      case "view": return this.view(c.ref!);
      case "list": return (await this.open().list(c.kind!)).map((v) => refText(v.ref));
      case "status": return { state: await this.open().state(), outbox: await this.open().outbox(), buckets: await this.open().buckets(), incidents: await this.open().incidents() };
      case "backup": return void (this.kept = this.store.clone());
      case "restore": {
        this.store = this.kept;
        const { signer } = this;
        return void (this.engine = await Engine.open(this.store, { signer: signer!, catalog: 1 }));
      }
      case "spoil": return this.spoil(c.bucket!, c.ref!);
    }
  }

  private signer: ReturnType<typeof seedSigner> | undefined;

  private open(): Engine {
    if (!this.engine) throw new Error("enrol first");
    return this.engine;
  }

  private async enrol(c: Command, again: boolean): Promise<unknown> {
    const signer = seedSigner(crypto.getRandomValues(new Uint8Array(32)));
    const { id, tokens } = await enrolAt(fetch, c.server!, c.code!, signer.publicKey, "浏览器", 1, this.clock());
    this.token = tokens.access;
    this.signer = signer;
    let reissued = 0;
    if (again) reissued = await this.open().reissue(id, signer);
    else {
      await enrol(this.store, id);
      this.engine = await Engine.open(this.store, { signer, catalog: 1 });
    }
    return { device: id.device, user: id.user, public_key: hex(signer.publicKey), reissued };
  }

  private async sync(): Promise<unknown> {
    try {
      return { fault: (await sync(this.open(), fetch, this.token, this.clock))?.code ?? "" };
    } catch (e) {
      if (e instanceof Problem) return { fault: e.code };
      throw e;
    }
  }

  private async capture(c: Command): Promise<unknown> {
    const drafts = c.drafts!.map(({ op, ref, fields, clear, act, bucket, seal }): Draft => ({
      op, ref: parseRef(ref), ...(fields ? { fields: parseFields(fields) } : {}), ...(clear ? { clear } : {}), ...(act ? { act } : {}), ...(bucket ? { bucket } : {}), ...(seal ? { seal } : {}),
    }));
    return this.open().capture(parseRef(c.root!), drafts, this.clock());
  }

  private async view(ref: string): Promise<unknown> {
    const v = await this.open().view(parseRef(ref));
    if (!v) return null;
    const { fields, locked } = await this.open().opened(v);
    return { envelope: envelopeText(v), body: fieldsText(v.body), bucket: v.bucket, pending: v.pending, acts: v.acts, fields: Object.fromEntries(fields), locked };
  }

  /** spoil damages a row, as a faulty disk would. */
  private async spoil(bucket: string, ref: string): Promise<void> {
    await this.store.update(async (t) => {
      const bad = (await t.get(keys.rows(bucket) + ref))!.slice();
      bad[bad.length - 2] = bad[bad.length - 2]! ^ 1;
      await t.put(keys.rows(bucket) + ref, bad);
    });
  }
}
