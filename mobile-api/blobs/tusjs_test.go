package blobs_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"aidloop/storage/blob"
)

// node runs the upload script and hands its standard output over line by line; fn returns false to kill it.
func (w *world) node(file, sha, storage string, fn func(line string) bool) {
	w.Helper()
	const dir = "testdata/tusjs"
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "tus-js-client")); err != nil {
		w.Fatal("tus-js-client is not installed: run make tusjs")
	}
	cmd := exec.CommandContext(w.Context(), "node", "upload.mjs", w.url, phone, file, sha, storage)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.StdoutPipe()
	w.must(err)
	w.must(cmd.Start())
	killed := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if !killed && !fn(lines.Text()) {
			killed = true
			w.must(cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); (err != nil) != killed {
		w.Fatalf("the upload script: %v", err)
	}
}

// tus-js-client, killed in the middle and started again in a new process, goes on from what the server has and ends
// with the right content.
func TestTusJSResumesAfterKill(t *testing.T) {
	w := newWorld(t)
	data := w.photo(8 << 20)
	file := filepath.Join(w.root, "photo.jpg")
	w.must(os.WriteFile(file, data, 0o600))
	sha, storage := blob.Sum(data), filepath.Join(w.root, "uploads.json")

	before := 0
	w.node(file, sha, storage, func(line string) bool {
		n, ok := strings.CutPrefix(line, "accepted ")
		if ok {
			before, _ = strconv.Atoi(n)
		}
		return before < 3*64<<10
	})
	if before == 0 || before >= len(data) {
		t.Fatalf("killed after %d of %d bytes", before, len(data))
	}
	var lines []string
	w.node(file, sha, storage, func(line string) bool { lines = append(lines, line); return true })
	if lines[0] != "resuming" || lines[len(lines)-1] != "done" {
		t.Fatalf("the second process said %q … %q", lines[0], lines[len(lines)-1])
	}
	if first, err := strconv.Atoi(strings.TrimPrefix(lines[1], "accepted ")); err != nil || first <= before {
		t.Errorf("the second process began with %q, the first had come to %d", lines[1], before)
	}
	w.must(w.store.Verify(w.Context(), sha))
}

// A connection that breaks in the middle of a chunk leaves what had arrived: the next try goes on from there.
func TestCutInTheMiddleOfAChunk(t *testing.T) {
	w := newWorld(t)
	data := w.photo(300_000)
	path := w.create(data)
	const sent = 123_457
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	w.must(err)
	_, err = fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nAuthorization: Bearer %s\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: %d\r\n\r\n",
		path, phone, len(data))
	w.must(err)
	_, err = conn.Write(data[:sent])
	w.must(err)
	w.must(conn.(*net.TCPConn).CloseWrite()) // the phone is gone; what it sent is on its way
	_, _ = bufio.NewReader(conn).ReadByte()  // until the server has seen it
	w.must(conn.Close())
	got := w.wants(w.send("HEAD", path, phone, nil), 200, "")
	if offset := got.Header.Get("Upload-Offset"); offset != strconv.Itoa(sent) {
		t.Fatalf("the server kept %s of %d bytes", offset, sent)
	}
	w.wants(w.patch(path, sent, data[sent:]), 204, "")
	w.must(w.store.Verify(w.Context(), blob.Sum(data)))
}
