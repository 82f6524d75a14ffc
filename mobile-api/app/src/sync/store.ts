// The seam to the app: where a device keeps its data.

import { text, utf8 } from "./bytes.ts";

/** Reading is one consistent state of a Store: an ordered map from ASCII keys to bytes. */
export interface Reading {
  /** get is the value under a key, undefined where there is none. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** scan is every entry whose key begins with the prefix, in ascending order of keys. */
  scan(prefix: string): Promise<[key: string, value: Uint8Array][]>;
}

/** Tx is a transaction that writes. What it wrote is seen by its own reads. */
export interface Tx extends Reading {
  put(key: string, value: Uint8Array): Promise<void>;
  delete(key: string): Promise<void>;
}

/** Store keeps a device's data. It may be killed between any two calls.
 *
 * `fn` awaits nothing but the methods of its transaction, since IndexedDB closes a transaction that waits for anything
 * else; this is why the core computes hashes and seals synchronously. Writes need not be awaited one by one. */
export interface Store {
  /** update runs fn in a transaction, one after another. Where it resolves, everything that fn wrote is durable (strict
   * durability: an acknowledged group must not be lost with the battery); where fn throws, nothing is. */
  update<T>(fn: (t: Tx) => Promise<T>): Promise<T>;
  /** view runs fn on one consistent state. */
  view<T>(fn: (t: Reading) => Promise<T>): Promise<T>;
}

/** MemoryStore is a Store in memory, for tests. */
export class MemoryStore implements Store {
  private queue: Promise<unknown> = Promise.resolve();

  constructor(private data = new Map<string, Uint8Array>()) {}

  /** clone is a copy of the store as it stands, such as a phone's backup. */
  clone(): MemoryStore {
    return new MemoryStore(new Map(this.data));
  }

  async update<T>(fn: (t: Tx) => Promise<T>): Promise<T> {
    const run = async () => {
      const next = new Map(this.data);
      const result = await fn(writing(next));
      this.data = next;
      return result;
    };
    const done = this.queue.then(run, run);
    this.queue = done.catch(() => undefined);
    return done;
  }

  async view<T>(fn: (t: Reading) => Promise<T>): Promise<T> {
    return fn(writing(this.data)); // a map that was handed out is never changed any more
  }
}

function writing(data: Map<string, Uint8Array>): Tx {
  return {
    get: async (key) => data.get(key),
    put: async (key, value) => void data.set(key, value.slice()),
    delete: async (key) => void data.delete(key),
    scan: async (prefix) => [...data].filter(([k]) => k.startsWith(prefix)).sort((a, b) => (a[0] < b[0] ? -1 : 1)),
  };
}

/** getJson reads what putJson wrote, undefined where there is nothing. */
export async function getJson<T>(t: Reading, key: string): Promise<T | undefined> {
  const b = await t.get(key);
  return b === undefined ? undefined : (JSON.parse(text(b)) as T);
}

/** putJson keeps a value as JSON. */
export async function putJson(t: Tx, key: string, value: unknown): Promise<void> {
  await t.put(key, utf8(JSON.stringify(value)));
}

/** scanJson reads every value under a prefix. */
export async function scanJson<T>(t: Reading, prefix: string): Promise<T[]> {
  return (await t.scan(prefix)).map(([, b]) => JSON.parse(text(b)) as T);
}

/** clearPrefix deletes every entry under a prefix. */
export async function clearPrefix(t: Tx, prefix: string): Promise<void> {
  const entries = await t.scan(prefix);
  await Promise.all(entries.map(([key]) => t.delete(key)));
}
