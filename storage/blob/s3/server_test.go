package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"aidloop/storage/blob/s3"
)

// server is a real S3 server (versitygw over a folder) that lives as long as the test binary.
type server struct {
	cfg    s3.Config // without a bucket
	client *minio.Client
}

var running *server // set by TestMain

func TestMain(m *testing.M) {
	code, err := withServer(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// binary finds the server, which `make s3-server` builds. Its absence is a failure: a suite that skips itself proves nothing.
func binary() (string, error) {
	path := os.Getenv("AIDLOOP_S3_SERVER")
	if path == "" {
		_, file, _, _ := runtime.Caller(0)
		path = filepath.Join(filepath.Dir(file), "..", "..", "..", ".cache", "bin", "versitygw")
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the S3 tests need an S3 server; build it with `make s3-server` or name one in AIDLOOP_S3_SERVER: %w", err)
	}
	return path, nil
}

func withServer(run func() int) (code int, err error) {
	path, err := binary()
	if err != nil {
		return 0, err
	}
	root, err := os.MkdirTemp("", "aidloop-s3-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	for _, name := range []string{"objects", "metadata"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
			return 0, err
		}
	}
	// A port that was free a moment ago: the server cannot be told to choose one and say which.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	cfg := s3.Config{Endpoint: listener.Addr().String(), Region: "us-east-1", AccessKey: "test", SecretKey: rand.Text()}
	if err := listener.Close(); err != nil {
		return 0, err
	}
	var log bytes.Buffer
	cmd := exec.Command(path, "--port", cfg.Endpoint, "--quiet", "posix", "--sidecar", filepath.Join(root, "metadata"), filepath.Join(root, "objects"))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+cfg.AccessKey, "ROOT_SECRET_KEY="+cfg.SecretKey)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // its error is the kill
		if code != 0 || err != nil {
			fmt.Fprintf(os.Stderr, "the S3 server said:\n%s", log.Bytes())
		}
	}()
	if running, err = connect(cfg); err != nil {
		return 0, err
	}
	return run(), nil
}

// connect waits until the server answers.
func connect(cfg s3.Config) (*server, error) {
	client, err := minio.New(cfg.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Region: cfg.Region})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err = client.ListBuckets(ctx); err == nil {
			return &server{cfg: cfg, client: client}, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the S3 server did not start: %w", err)
		case <-again.C:
		}
	}
}
