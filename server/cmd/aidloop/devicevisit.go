package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"

	"aidloop/fixtures/forms"
	"aidloop/fixtures/photo"
	"aidloop/fixtures/story"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

type visitCmd struct {
	phoneFlag
	Household string `help:"Whose home; left out where the lead says it."`
	Lead      string `help:"The lead that is looked into."`
	Form      string `help:"The form and its version, as the server has it." default:"visit_v1.1"`
	Second    string `help:"The second surveyor: a user's id or a name." default:"村干部"`
	Answers   string `help:"A JSON file of answers by the names of questions. Photos and signatures are paths of image files." type:"existingfile"`
	Example   bool   `help:"Print answers that the form would accept, and capture nothing."`
	Fill      bool   `help:"Answer with that example, with drawn signatures."`
	Correct   string `help:"Instead of a new visit, answer questions of this returned visit anew." placeholder:"VISIT"`
}

// Run captures a visit.
func (c *visitCmd) Run() error {
	return c.with(func(_ context.Context, p *story.Phone) error {
		form, err := phoneForm(p, c.Form)
		if err != nil {
			return err
		}
		answers := example(form, p.Engine.Identity().User, c.Second)
		if c.Example {
			enc := json.NewEncoder(os.Stdout)
			enc.SetIndent("", "  ")
			return enc.Encode(answers)
		}
		if c.Answers != "" {
			if answers, err = readAnswers(c.Answers); err != nil {
				return err
			}
		} else if !c.Fill {
			return errors.New("give --answers FILE or --fill; --example shows what the form asks")
		}
		if c.Correct != "" {
			x, err := p.Correct(c.Correct, answers)
			return told(x, c.Correct, err)
		}
		household, err := c.household(p)
		if err != nil {
			return err
		}
		if c.Lead != "" {
			answers["lead"] = c.Lead
		}
		id, x, err := p.Submit(form, household, answers, loadImage)
		return told(x, id, err)
	})
}

func told(x *device.Entry, visit string, err error) error {
	if err == nil {
		fmt.Printf("visit %s is kept on this phone as change %d to %d, %d bytes; run aidloop device sync\n", visit, x.Dseq, x.Last, x.Size)
	}
	return err
}

func (c *visitCmd) household(p *story.Phone) (string, error) {
	if c.Household != "" || c.Lead == "" {
		if c.Household == "" {
			return "", errors.New("give --household or --lead")
		}
		return c.Household, nil
	}
	lead, err := p.Engine.View(syncproto.Ref{Kind: "lead", ID: c.Lead})
	if err != nil {
		return "", err
	}
	if lead == nil || lead.Root.Kind != "household" {
		return "", fmt.Errorf("--lead: %s is not on this phone, or has no household yet: give --household", c.Lead)
	}
	return lead.Root.ID, nil
}

// phoneForm reads a form from the phone's copy of the reference bucket.
func phoneForm(p *story.Phone, id string) (*forms.Form, error) {
	v, err := p.Engine.View(syncproto.Ref{Kind: "form", ID: id})
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, fmt.Errorf("--form: %s is not on this phone: sync first", id)
	}
	return forms.Parse(v.Body.Bytes())
}

func readAnswers(path string) (map[string]any, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	raw, err := syncproto.Canonicalize(b)
	if err != nil {
		return nil, fmt.Errorf("--answers: %w", err)
	}
	v, err := raw.Decode()
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("--answers: want one JSON object")
	}
	return m, nil
}

// example answers every required question that is asked, in the plainest way.
func example(f *forms.Form, user, second string) map[string]any {
	a := map[string]any{"surveyor_1": user, "surveyor_2": second, "visited_at": time.Now().Format(time.RFC3339)}
	for i := range f.Questions {
		q := &f.Questions[i]
		if _, ok := a[q.Name]; ok || !q.Required || !asked(q, a) {
			continue
		}
		if v := plain(q); v != nil {
			a[q.Name] = v
		}
	}
	return a
}

func asked(q *forms.Question, a map[string]any) bool {
	if q.Relevant == nil {
		return true
	}
	s, _ := a[q.Relevant.Question].(string)
	return slices.Contains(q.Relevant.In, s)
}

func plain(q *forms.Question) any {
	switch q.Type {
	case "select_one":
		return q.Choices[0].Value
	case "select_multiple":
		return []any{q.Choices[0].Value}
	case "int", "money":
		if q.Min != nil {
			return *q.Min
		}
		return int64(0)
	case "bool":
		return true
	case "date":
		return time.Now().Format(time.DateOnly)
	case "time":
		return time.Now().Format(time.RFC3339)
	case "signature":
		return "drawn:" + q.Name
	case "group_repeat":
		row := map[string]any{}
		for i := range q.Questions {
			if x := &q.Questions[i]; x.Required && asked(x, row) {
				row[x.Name] = plain(x)
			}
		}
		return []any{row}
	case "text":
		if q.Format == "id_no" {
			return "none"
		}
		return "示例"
	}
	return nil
}

// loadImage reads a photo or signature: a path, or "drawn:…" for a drawn signature.
func loadImage(path string) (data []byte, mime string, err error) {
	if len(path) > 6 && path[:6] == "drawn:" {
		return photo.Signature(uint64(len(path)), 320, 120), "image/png", nil
	}
	data, err = os.ReadFile(path)
	return data, http.DetectContentType(data), err
}

type photoCmd struct {
	phoneFlag
	Visit    string `help:"The visit that it belongs to." required:""`
	Question string `help:"The question that it answers." default:"photos"`
	File     string `arg:"" help:"A JPEG or PNG file." type:"existingfile"`
}

// Run adds a photo.
func (c *photoCmd) Run() error {
	return c.with(func(_ context.Context, p *story.Phone) error {
		data, mime, err := loadImage(c.File)
		if err != nil {
			return err
		}
		v, err := p.Engine.View(syncproto.Ref{Kind: "visit", ID: c.Visit})
		if err != nil {
			return err
		}
		if v == nil {
			return fmt.Errorf("--visit: %s is not on this phone", c.Visit)
		}
		d, err := p.Evidence(uuid.Must(uuid.NewV7()).String(), c.Visit, v.Root.ID, "photo", c.Question, data, mime, time.Now())
		if err != nil {
			return err
		}
		x, err := p.Engine.Capture(v.Root, []device.Draft{*d}, p.Clock())
		if err == nil {
			fmt.Printf("photo of %d bytes is kept on this phone as change %d\n", len(data), x.Dseq)
		}
		return err
	})
}
