// A Store on IndexedDB, as small as can be: the engine's tests run on it in a browser, since an IndexedDB transaction
// closes itself when it is left waiting. The app brings its own.

import type { Reading, Store, Tx } from "../src/sync/store.ts";

/** openIdb makes an empty store. */
export function openIdb(name: string): Promise<Store> {
  return new Promise((resolve, reject) => {
    const open = indexedDB.open(name, 1);
    open.onupgradeneeded = () => open.result.createObjectStore("data");
    open.onerror = () => reject(open.error);
    open.onsuccess = () => resolve(new IdbStore(open.result));
  });
}

class IdbStore implements Store {
  constructor(private readonly db: IDBDatabase) {}

  update<T>(fn: (t: Tx) => Promise<T>): Promise<T> {
    return this.run("readwrite", fn);
  }

  view<T>(fn: (t: Reading) => Promise<T>): Promise<T> {
    return this.run("readonly", fn);
  }

  private run<T>(mode: IDBTransactionMode, fn: (t: Tx) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const tx = this.db.transaction("data", mode, { durability: "strict" });
      const data = tx.objectStore("data");
      let result: T;
      let failed: unknown;
      tx.oncomplete = () => resolve(result);
      tx.onabort = () => reject(failed ?? tx.error);
      const t: Tx = {
        get: (key) => done<Uint8Array | undefined>(data.get(key)),
        put: async (key, value) => void (await done(data.put(value, key))),
        delete: async (key) => void (await done(data.delete(key))),
        scan: async (prefix) => {
          const range = IDBKeyRange.bound(prefix, prefix + "\uffff");
          const [names, values] = await Promise.all([done<IDBValidKey[]>(data.getAllKeys(range)), done<Uint8Array[]>(data.getAll(range))]);
          return names.map((k, i) => [k as string, values[i]!]);
        },
      };
      fn(t).then(
        (r) => (result = r),
        (e) => {
          failed = e;
          tx.abort();
        },
      );
    });
  }
}

function done<T>(r: IDBRequest): Promise<T> {
  return new Promise((resolve, reject) => {
    r.onsuccess = () => resolve(r.result as T);
    r.onerror = () => reject(r.error);
  });
}
