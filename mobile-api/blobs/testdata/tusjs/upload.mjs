// Uploads a file in small chunks: node upload.mjs SERVER TOKEN FILE SHA256 STORAGE. What was begun is written to the
// file STORAGE, so that a new process goes on where a killed one stopped. Every progress is a line on standard output.
import { createReadStream, statSync } from "node:fs";
import * as tus from "tus-js-client";

const [server, token, file, sha256, storage] = process.argv.slice(2);
const upload = new tus.Upload(createReadStream(file), {
  endpoint: `${server}/blobs/v1`,
  headers: { Authorization: `Bearer ${token}` },
  metadata: { sha256, filename: "photo.jpg", filetype: "image/jpeg" },
  uploadSize: statSync(file).size,
  chunkSize: 64 * 1024,
  retryDelays: [],
  urlStorage: new tus.FileUrlStorage(storage),
  fingerprint: async () => sha256,
  removeFingerprintOnSuccess: true,
  onChunkComplete: (_size, accepted) => console.log(`accepted ${accepted}`),
  onError: (err) => {
    console.error(String(err));
    process.exit(1);
  },
  onSuccess: () => console.log("done"),
});
const before = await upload.findPreviousUploads();
if (before.length > 0) {
  console.log("resuming");
  upload.resumeFromPreviousUpload(before[0]);
}
upload.start();
