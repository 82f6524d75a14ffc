// Package s3 keeps sealed blobs in a bucket of any S3 server, one object `<prefix>blobs/<sha>` each. Uploads under way stay in a local folder
// (blob.Staging) until they are complete and checked: S3 cannot append, its parts are at least 5 MiB, and a phone on a bad network
// delivers less than that per connection. A finished blob goes up in one conditional PUT, which S3 shows whole or not at all.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"aidloop/storage/blob"
)

// Config says which bucket to use. Prefix may be empty, or ends in "/".
type Config struct {
	Endpoint  string // host:port, without a scheme
	Secure    bool   // TLS; only a server on the same machine goes without
	Region    string // such as "us-east-1"
	Bucket    string // created if it does not exist
	Prefix    string
	AccessKey string
	SecretKey string
}

// Open connects to the bucket and opens the local staging folder c.Dir.
func Open(ctx context.Context, cfg Config, c blob.StagingConfig) (*blob.Vault, error) {
	if cfg.Prefix != "" && !strings.HasSuffix(cfg.Prefix, "/") {
		return nil, fmt.Errorf("%w: the prefix of a bucket ends in a slash", blob.ErrInvalid)
	}
	staging, err := blob.NewStaging(c)
	if err != nil {
		return nil, err
	}
	client, err := minio.New(cfg.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Secure: cfg.Secure, Region: cfg.Region,
	})
	if err != nil {
		return nil, fmt.Errorf("blob/s3: %w", err)
	}
	exists, err := client.BucketExists(ctx, cfg.Bucket)
	if err == nil && !exists {
		err = client.MakeBucket(ctx, cfg.Bucket, minio.MakeBucketOptions{Region: cfg.Region})
	}
	if err != nil {
		return nil, fmt.Errorf("blob/s3: bucket: %w", err)
	}
	return blob.NewVault(objects{core: minio.Core{Client: client}, bucket: cfg.Bucket, prefix: cfg.Prefix + "blobs/"}, staging), nil
}

// objects implements blob.Objects.
type objects struct {
	core   minio.Core
	bucket string
	prefix string
}

func (o objects) key(name string) string { return o.prefix + name }

func (o objects) Put(ctx context.Context, name, path string, replace bool) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("blob/s3: put: %w", err)
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return fmt.Errorf("blob/s3: put: %w", err)
	}
	// One PUT, never parts: a broken one leaves nothing in the bucket.
	options := minio.PutObjectOptions{ContentType: "application/octet-stream", DisableMultipart: true}
	if !replace {
		options.SetMatchETagExcept("*")
	}
	_, err = o.core.Client.PutObject(ctx, o.bucket, o.key(name), f, stat.Size(), options)
	if !replace && minio.ToErrorResponse(err).StatusCode == http.StatusPreconditionFailed {
		return blob.ErrExists
	}
	if err != nil {
		return fmt.Errorf("blob/s3: put: %w", err)
	}
	return nil
}

func (o objects) Get(ctx context.Context, name string) (blob.Object, blob.Source, error) {
	stat, err := o.core.StatObject(ctx, o.bucket, o.key(name), minio.StatObjectOptions{})
	if missing(err) {
		return blob.Object{}, nil, blob.ErrNotFound
	}
	if err != nil {
		return blob.Object{}, nil, fmt.Errorf("blob/s3: get: %w", err)
	}
	source := func(offset int64) (io.ReadCloser, error) {
		options := minio.GetObjectOptions{}
		if offset > 0 {
			if err := options.SetRange(offset, 0); err != nil { // from offset to the end
				return nil, err
			}
		}
		// Core's GetObject is one plain request with a streaming body; the client's would ask again for every jump.
		body, _, _, err := o.core.GetObject(ctx, o.bucket, o.key(name), options)
		if missing(err) {
			return nil, blob.ErrNotFound
		}
		return body, err
	}
	return blob.Object{Name: name, Size: stat.Size, Modified: stat.LastModified}, source, nil
}

func missing(err error) bool {
	var response minio.ErrorResponse
	return errors.As(err, &response) && response.StatusCode == http.StatusNotFound && response.Code != minio.NoSuchBucket
}

func (o objects) List(ctx context.Context, fn func(blob.Object) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // ends the client's listing when fn refuses
	for found := range o.core.Client.ListObjects(ctx, o.bucket, minio.ListObjectsOptions{Prefix: o.prefix, Recursive: true}) {
		if found.Err != nil {
			return fmt.Errorf("blob/s3: list: %w", found.Err)
		}
		name := strings.TrimPrefix(found.Key, o.prefix)
		if !blob.ValidSHA(name) {
			continue // not ours
		}
		if err := fn(blob.Object{Name: name, Size: found.Size, Modified: found.LastModified}); err != nil {
			return err
		}
	}
	return nil
}

func (o objects) Remove(ctx context.Context, name string) error {
	if err := o.core.RemoveObject(ctx, o.bucket, o.key(name), minio.RemoveObjectOptions{}); err != nil && !missing(err) {
		return fmt.Errorf("blob/s3: remove: %w", err)
	}
	return nil
}

// Tidy aborts multipart uploads under the prefix. Put makes none, but another tool or an older version may have.
func (o objects) Tidy(ctx context.Context, before time.Time) (int, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	aborted := 0
	for found := range o.core.ListIncompleteUploads(ctx, o.bucket, o.prefix, true) {
		if found.Err != nil {
			return aborted, fmt.Errorf("blob/s3: tidy: %w", found.Err)
		}
		if !found.Initiated.Before(before) {
			continue
		}
		if err := o.core.AbortMultipartUpload(ctx, o.bucket, found.Key, found.UploadID); err != nil {
			return aborted, fmt.Errorf("blob/s3: tidy: %w", err)
		}
		aborted++
	}
	return aborted, nil
}
