// A device: what it captures, says, hears and shows. It keeps nothing in memory that its store does not hold, except keys
// that it has opened and what belongs to the exchange under way.

import { fromBase64, toBase64 } from "./bytes.ts";
import type { Value } from "./canonical.ts";
import { type Draft, capture } from "./capture.ts";
import type { Incident } from "./checkpoint.ts";
import type { Refusal } from "./errors.ts";
import type { Clock, Group } from "./group.ts";
import type { Ref } from "./ids.ts";
import type { Policy } from "./merge.ts";
import { type CursorState, type Entry, type State, entries, frozenGroup, keys, loadState, newState } from "./outbox.ts";
import type { Rec } from "./record.ts";
import { reissue } from "./reissue.ts";
import { type Ask, type Asked, refused, request } from "./request.ts";
import { Response } from "./response.ts";
import type { Signer } from "./sign.ts";
import { type Store, getJson, putJson, scanJson } from "./store.ts";
import { Ring, type View, listOf, viewOf } from "./view.ts";

/** Identity is one enrolment, without the private key, which the signer keeps. Keys are 32 bytes. */
export interface Identity {
  device: string;
  user: string;
  userName: string;
  region: string;
  role: string;
  server: string; // the address that it was enrolled at
  userKey: Uint8Array;
  formerKeys?: readonly Uint8Array[]; // the user's older keys, the newest first
  serverKey: Uint8Array;
}

/** Options are what an engine needs besides its store. */
export interface Options {
  signer: Signer;
  catalog: number; // the catalog version that the app was built with
  /** policyOf is the server's merge policy of a field. It only decides what a person sees while a change is pending. */
  policyOf?(kind: string, field: string): Policy;
  /** random gives bytes for new case keys. */
  random?(bytes: number): Uint8Array;
}

type Kept = Omit<Identity, "userKey" | "formerKeys" | "serverKey"> & { userKey: string; formerKeys: string[]; serverKey: string };

const written = (id: Identity): Kept =>
  ({ ...id, userKey: toBase64(id.userKey), formerKeys: (id.formerKeys ?? []).map(toBase64), serverKey: toBase64(id.serverKey) });

/** maxFormer bounds the former user keys that a phone keeps. */
const maxFormer = 32;

/** renewed is an identity with a newer user key; what lies under the former ones still opens. */
function renewed(id: Identity, userKey: Uint8Array, also: readonly Uint8Array[] = []): Identity {
  const seen = new Set([toBase64(userKey)]);
  const formerKeys = [id.userKey, ...(id.formerKeys ?? []), ...also].filter((k) => !seen.has(toBase64(k)) && seen.add(toBase64(k)));
  return { ...id, userKey, formerKeys: formerKeys.slice(0, maxFormer) };
}

const keysOf = (id: Identity): Uint8Array[] => [id.userKey, ...(id.formerKeys ?? [])];

/** enrol writes a new identity into an empty store. */
export async function enrol(store: Store, id: Identity): Promise<void> {
  await store.update(async (t) => {
    if (await t.get(keys.identity)) throw new Error("the store belongs to an enrolment already");
    await putJson(t, keys.state, newState(id.device));
    await putJson(t, keys.identity, written(id));
  });
}

/** Engine is a device. */
export class Engine {
  private ring: Ring;

  private constructor(
    private readonly store: Store,
    private options: Options,
    private id: Identity,
  ) {
    this.ring = new Ring(keysOf(id), this.userBucket);
  }

  /** open opens an enrolled device. */
  static async open(store: Store, options: Options): Promise<Engine> {
    const kept = await store.view((t) => getJson<Kept>(t, keys.identity));
    if (!kept) throw new Error("not enrolled");
    return new Engine(store, options, {
      ...kept, userKey: fromBase64(kept.userKey), formerKeys: kept.formerKeys.map(fromBase64), serverKey: fromBase64(kept.serverKey),
    });
  }

  /** identity is who the device is. */
  get identity(): Identity {
    return this.id;
  }

  private get userBucket(): string {
    return `user:${this.id.user}`;
  }

  private readonly policyOf = (kind: string, field: string): Policy => this.options.policyOf?.(kind, field) ?? "latest";

  /** capture freezes drafts as one group and keeps it: from here on it survives everything but the loss of the phone. */
  capture(root: Ref, drafts: readonly Draft[], clock: Clock): Promise<Entry> {
    const random = this.options.random ?? ((n: number) => crypto.getRandomValues(new Uint8Array(n)));
    const c = { device: this.id.device, userBucket: this.userBucket, catalog: this.options.catalog, ring: this.ring, policyOf: this.policyOf, random };
    return this.store.update((t) => capture(c, t, root, drafts, clock));
  }

  /** view is a record as a person sees it, or undefined. */
  view(ref: Ref): Promise<View | undefined> {
    return this.store.view((t) => viewOf(t, ref, this.policyOf));
  }

  /** list is every record of a kind that the phone has. */
  list(kind: string): Promise<View[]> {
    return this.store.view((t) => listOf(t, kind, this.policyOf));
  }

  /** opened is a record's fields in the open; those whose key is not here are named in `locked`. */
  opened(v: Rec): Promise<{ fields: Map<string, Value>; locked: string[] }> {
    return this.store.view((t) => this.ring.opened(t, v));
  }

  /** addUserKey takes the user's key as new tokens bring it: it may have been rotated since, because a phone of the user was
   * lost. The same key again changes nothing. */
  async addUserKey(key: Uint8Array): Promise<void> {
    if (toBase64(key) === toBase64(this.id.userKey)) return;
    const next = renewed(this.id, key);
    await this.store.update((t) => putJson(t, keys.identity, written(next)));
    this.id = next;
    this.ring = new Ring(keysOf(next), this.userBucket);
  }

  /** locked reports whether the phone lacks a key of its user's: renew the tokens, and give their key to addUserKey. */
  locked(): Promise<boolean> {
    return this.store.view((t) => this.ring.lacks(t));
  }

  /** request builds the next request. It changes nothing, so that it can be repeated after any fault. */
  request(clock: Clock, ask: Ask = {}): Promise<Asked> {
    return request(this.store, this.id.device, this.options.signer, this.options.catalog, clock, ask);
  }

  /** response begins to take the response to a request. */
  response(clock: Clock, asked: Asked): Response {
    const dropped = () => void (this.ring = new Ring(keysOf(this.id), this.userBucket));
    return new Response({ store: this.store, device: this.id.device, userBucket: this.userBucket, serverKey: this.id.serverKey, dropped }, clock.wall, asked);
  }

  /** refused takes note of a refusal of a whole exchange, and says whether another try can help. */
  refused(r: Refusal): Promise<boolean> {
    return this.store.update((t) => refused(t, r));
  }

  /** reissue gives the phone a new identity of the same user and numbers every group that it still keeps anew. */
  async reissue(id: Identity, signer: Signer): Promise<number> {
    if (id.user !== this.id.user) throw new Error(`this phone holds the work of ${this.id.user}`);
    const next = renewed(id, id.userKey, keysOf(this.id));
    const n = await this.store.update(async (t) => {
      const count = await reissue(t, id.device);
      await putJson(t, keys.identity, written(next));
      return count;
    });
    this.id = next;
    this.options = { ...this.options, signer };
    this.ring = new Ring(keysOf(next), this.userBucket);
    return n;
  }

  /** outbox is every group that is still kept, in order of capture. */
  outbox(): Promise<Entry[]> {
    return this.store.view(entries);
  }

  /** content reads a captured group back, so that what was rejected need not be typed again. */
  content(dseq: number): Promise<Group> {
    return this.store.view((t) => frozenGroup(t, dseq));
  }

  /** dismiss takes a rejected group off the list of what needs attention. Its content stays. */
  async dismiss(dseq: number): Promise<void> {
    await this.store.update(async (t) => {
      const x = await getJson<Entry>(t, keys.entry(dseq));
      if (x?.state === "rejected") await putJson(t, keys.entry(dseq), { ...x, state: "dismissed" });
    });
  }

  /** state is the device's chain and what it knows of the server. */
  state(): Promise<State> {
    return this.store.view(loadState);
  }

  /** photosQueued takes note that every photo on the phone is queued again (State.photosAgain). */
  async photosQueued(): Promise<void> {
    await this.store.update(async (t) => putJson(t, keys.state, { ...(await loadState(t)), photosAgain: false }));
  }

  /** buckets is what the phone holds, by its own count, in order of names. */
  async buckets(): Promise<(CursorState & { bucket: string })[]> {
    return this.store.view(async (t) => {
      const list = await t.scan(keys.cursors);
      const states = await scanJson<CursorState>(t, keys.cursors);
      return list.map(([key], i) => ({ bucket: key.slice(keys.cursors.length), ...states[i]! }));
    });
  }

  /** incidents are buckets whose rows did not add up. */
  incidents(): Promise<Incident[]> {
    return this.store.view((t) => scanJson<Incident>(t, keys.incidents));
  }
}
