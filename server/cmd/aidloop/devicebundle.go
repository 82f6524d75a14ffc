package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"

	"aidloop/fixtures/story"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

type exportCmd struct {
	phoneFlag
	Photos int64  `help:"Photos to take along at most, in MiB; the smallest go first." default:"64"`
	File   string `arg:"" help:"Where to write the bundle, such as wang.aidsync. What stood there is replaced." type:"path"`
}

// Run writes a bundle. The phone stays as it is, so that the file may get lost.
func (c *exportCmd) Run() error {
	return c.with(func(_ context.Context, p *story.Phone) error {
		var out device.Exported
		err := writeWhole(c.File, func(w *bufio.Writer) (err error) {
			out, err = p.Engine.Export(w, phoneClock(), device.Carry{PhotoBytes: c.Photos << 20})
			return err
		})
		if err != nil {
			return err
		}
		fmt.Printf("%s holds %d groups", c.File, out.Groups)
		if out.Groups > 0 {
			fmt.Printf(" (changes %d to %d)", out.First, out.Last)
		}
		fmt.Printf(" and %d photos; %d photos stay behind\n", out.Photos, out.Left)
		if st, err := p.Engine.Status(0); err != nil {
			return err
		} else if st.Trouble != "" {
			fmt.Printf("The groups of this phone are left out until it is enrolled anew: %s %s\n", st.Trouble, st.Trouble.Words())
		}
		fmt.Println("Bring it to the server by any way, and its reply back: aidloop device import")
		return nil
	})
}

type importReplyCmd struct {
	phoneFlag
	File []string `arg:"" help:"Replies to this phone's bundles, in any order." type:"existingfile"`
}

// Run takes replies.
func (c *importReplyCmd) Run() error {
	return c.with(func(_ context.Context, p *story.Phone) error {
		for _, path := range c.File {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			got, err := p.Engine.Import(bufio.NewReader(f), phoneClock())
			err = errors.Join(err, f.Close())
			if err != nil {
				return fmt.Errorf("%s: %w", path, inWords(err))
			}
			fmt.Printf("%s: %d responses taken", path, got.Responses-got.Former)
			if got.Late > 0 {
				fmt.Printf(", %d of them from before what this phone knows", got.Late)
			}
			if got.Former > 0 {
				fmt.Printf("; %d left, the server was put back from a backup since", got.Former)
			}
			fmt.Println()
			if got.Fault != nil {
				fmt.Printf("%s: %s\n", got.Fault.Code, got.Fault.Message)
			}
		}
		return nil
	})
}

// inWords adds to a refusal what a person should know of it.
func inWords(err error) error {
	var refusal *syncproto.Error
	if errors.As(err, &refusal) && refusal.Code.Words() != "" {
		return fmt.Errorf("%w\n%s", err, refusal.Code.Words())
	}
	return err
}

// writeWhole writes a file so that it is whole or not there, readable by its owner alone.
func writeWhole(path string, fn func(*bufio.Writer) error) error {
	f, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	err = fn(w)
	if err == nil {
		err = errors.Join(w.Flush(), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path+".part"))
	}
	return os.Rename(path+".part", path)
}
