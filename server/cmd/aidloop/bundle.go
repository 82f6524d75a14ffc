package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	mobileapi "aidloop/mobile-api"
	"aidloop/mobile-api/client"
	"aidloop/server/cmd/aidloop/app"
	"aidloop/server/loop"
	"aidloop/storage/sqlite"
)

// bundleCmd is for the one who sits at the server, and for those who carry files to it.
type bundleCmd struct {
	Inspect inspectCmd      `cmd:"" help:"Say what a bundle holds and what is missing before it; changes nothing."`
	Import  bundleImportCmd `cmd:"" help:"Take bundles in, in any order and any number of times, and write the replies."`
	Reply   bundleReplyCmd  `cmd:"" help:"Write a reply for a phone from what the database knows now."`
	Send    bundleSendCmd   `cmd:"" help:"Carry a bundle to a server over the network and bring its reply back."`
}

type inspectCmd struct {
	dataFlag
	File []string `arg:"" help:"Bundles." type:"existingfile"`
}

// Run prints what bundles hold.
func (c *inspectCmd) Run() error {
	return c.existing(func(ctx context.Context, a *app.App) error {
		for _, path := range c.File {
			err := reading(path, func(r io.Reader) error {
				x, err := a.Loop.InspectBundle(ctx, r)
				if err == nil {
					printInspection(path, x)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func printInspection(path string, x *loop.Inspection) {
	fmt.Printf("%s\n  device  %s (%s, %s) of %s %s\n  made    %s by its clock\n", path, x.Device, x.Name, x.State, x.UserName, x.User, time.UnixMilli(x.Created).Format(time.RFC3339))
	fmt.Printf("  groups  %d in %d requests, changes %d to %d; on record up to %d\n", x.Groups, x.Messages, x.First, x.Last, x.Have)
	for _, s := range x.Missing {
		fmt.Printf("  missing changes %d to %d\n", s.From, s.To)
	}
	fmt.Printf("  photos  %d, %d bytes\n", x.Photos, x.PhotoBytes)
	if x.Witnesses > 0 {
		fmt.Printf("  %d rows of a former life of the server\n", x.Witnesses)
	}
	if !x.Wants {
		fmt.Println("  it asks for no rows")
	}
	if x.Problem != nil {
		fmt.Printf("  NOT WHOLE: %v\n", x.Problem)
	}
}

type bundleImportCmd struct {
	dataFlag
	ReplyDir string   `name:"reply-dir" help:"Folder for the replies, FILE.reply.aidsync each." type:"path"`
	File     []string `arg:"" help:"Bundles." type:"existingfile"`
}

// Run imports bundles. A file that is damaged does not keep the others from being taken.
func (c *bundleImportCmd) Run() error {
	return c.existing(func(ctx context.Context, a *app.App) error {
		var failed []error
		for _, path := range c.File {
			if err := c.one(ctx, a, path); err != nil {
				fmt.Printf("%s: %v\n", path, err)
				failed = append(failed, fmt.Errorf("%s: %w", path, err))
			}
		}
		return errors.Join(failed...)
	})
}

func (c *bundleImportCmd) one(ctx context.Context, a *app.App, path string) error {
	to := ""
	if c.ReplyDir != "" {
		if err := os.MkdirAll(c.ReplyDir, 0o700); err != nil {
			return err
		}
		to = filepath.Join(c.ReplyDir, strings.TrimSuffix(filepath.Base(path), ".aidsync")+".reply.aidsync")
	}
	return reading(path, func(r io.Reader) error {
		o := loop.BundleOptions{Photos: a.KeepPhoto}
		var early error
		take := func(w io.Writer) error {
			o.Reply = w
			i, err := a.Loop.ImportBundle(ctx, r, o)
			if i != nil {
				printImport(path, i)
			}
			if i != nil && i.Replied {
				early, err = err, nil // what was whole has been taken, and is answered
			}
			return err
		}
		if to == "" {
			return take(nil)
		}
		err := writeWhole(to, func(w *bufio.Writer) error { return take(w) })
		if err == nil {
			fmt.Printf("  its reply: %s\n", to)
		}
		return errors.Join(err, early)
	})
}

func printImport(path string, i *loop.Import) {
	fmt.Printf("%s: device %s, %d groups (changes %d to %d): %d received, %d wait for earlier ones; %d photos kept, %d left\n",
		path, i.Device, i.Groups, i.First, i.Last, i.Outcomes, i.Parked, i.Photos, i.PhotosLeft)
	for _, code := range i.Refused {
		fmt.Printf("  refused: %s %s\n", code, code.Words())
	}
}

type bundleReplyCmd struct {
	dataFlag
	Device string `arg:"" help:"The phone's device id."`
	Out    string `help:"Where to write the reply." required:"" type:"path"`
}

// Run writes a reply.
func (c *bundleReplyCmd) Run() error {
	return c.existing(func(ctx context.Context, a *app.App) error {
		err := writeWhole(c.Out, func(w *bufio.Writer) error { return a.Loop.ReplyBundle(ctx, c.Device, w) })
		if err == nil {
			fmt.Printf("%s is for device %s alone\n", c.Out, c.Device)
		}
		return err
	})
}

type bundleSendCmd struct {
	Server string `help:"The server's address, such as https://aidloop.example." required:""`
	Reply  string `help:"Where to write the reply, for the phone to import." required:"" type:"path"`
	File   string `arg:"" help:"The bundle." type:"existingfile"`
}

// Run posts a bundle. It needs no account: the file is its own proof.
func (c *bundleSendCmd) Run() error {
	return reading(c.File, func(r io.Reader) error {
		res, err := http.Post(strings.TrimRight(c.Server, "/")+"/bundles/v1", mobileapi.BundleType, r)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			said, _ := io.ReadAll(io.LimitReader(res.Body, 4096)) // as far as it comes through
			return client.ProblemOf(res, said)
		}
		return writeWhole(c.Reply, func(w *bufio.Writer) error { _, err := io.Copy(w, res.Body); return err })
	})
}

func reading(path string, fn func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = fn(bufio.NewReaderSize(f, 64<<10))
	if err != nil {
		err = inWords(err)
	}
	return errors.Join(err, f.Close())
}

// existing opens a data folder that has a database; it makes none.
func (d *dataFlag) existing(fn func(ctx context.Context, a *app.App) error) error {
	if _, err := os.Stat(filepath.Join(d.Data, sqlite.FileName)); err != nil {
		return fmt.Errorf("--data (AIDLOOP_DATA): there is no database in %s", d.Data)
	}
	return d.with(fn)
}
