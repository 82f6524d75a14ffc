package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/loop"
)

// ContactView is the person in charge of a member unit.
type ContactView struct {
	Unit  string `json:"unit" zh:"单位"`
	Name  string `json:"name" zh:"负责人"`
	Post  string `json:"post,omitempty" zh:"职务"`
	Phone string `json:"phone" zh:"办公电话"`
}

// PolicyView is a page that tells people what they may ask for.
type PolicyView struct {
	ID       string `json:"id" zh:"编号"`
	Title    string `json:"title" zh:"标题"`
	Text     string `json:"text" zh:"内容"`
	Source   string `json:"source" zh:"文号"`
	IssuedOn string `json:"issued_on" zh:"发布日期"`
}

// publicity are the contact directory and the policy pages.
func (a *API) publicity() {
	listing(a, op(http.MethodGet, "/contacts", "list-contacts", "publicity", "List who is in charge of each member unit"), "通讯录",
		func(ctx context.Context, _ *struct{ AsTable }) ([]ContactView, []ContactView, error) {
			list, err := a.Loop.Contacts(ctx)
			out := make([]ContactView, len(list))
			for i, c := range list {
				out[i] = ContactView{c.Unit, c.Name, c.Post, c.Phone}
			}
			return out, out, err
		})
	huma.Register(a.huma, op(http.MethodPut, "/contacts/{unit}", "put-contact", "publicity", "Write who is in charge of a unit; phones receive it"),
		func(ctx context.Context, in *struct {
			Unit string `path:"unit" maxLength:"16" doc:"A department's code, or a town's or village's."`
			Body struct {
				Name    string `json:"name" minLength:"1" maxLength:"30"`
				Post    string `json:"post,omitempty" maxLength:"60"`
				Phone   string `json:"phone" minLength:"7" maxLength:"20" doc:"Of the office."`
				Retired bool   `json:"retired,omitempty" doc:"It is not shown any more."`
			}
		}) (*empty, error) {
			b := in.Body
			return done(a.Loop.PutContact(ctx, actor(ctx), loop.Contact{Unit: in.Unit, Name: b.Name, Post: b.Post, Phone: b.Phone, Retired: b.Retired}))
		})
	listing(a, op(http.MethodGet, "/policies", "list-policies", "publicity", "List the policy pages, the newest first"), "政策",
		func(ctx context.Context, _ *struct{ AsTable }) ([]PolicyView, []PolicyView, error) {
			list, err := a.Loop.Policies(ctx)
			out := make([]PolicyView, len(list))
			for i, p := range list {
				out[i] = PolicyView{p.ID, p.Title, p.Text, p.Source, p.IssuedOn}
			}
			return out, out, err
		})
	huma.Register(a.huma, op(http.MethodPost, "/policies", "put-policy", "publicity", "Publish a policy page on phones and on the public page, or write one anew"),
		func(ctx context.Context, in *struct {
			Body struct {
				ID       string `json:"id,omitempty" maxLength:"64" doc:"Of the page that is written anew."`
				Title    string `json:"title" minLength:"1" maxLength:"100"`
				Text     string `json:"text" minLength:"1" maxLength:"4000" doc:"Plain, with line breaks."`
				Source   string `json:"source" minLength:"1" maxLength:"100" doc:"The document that it tells of."`
				IssuedOn string `json:"issued_on" format:"date"`
				Retired  bool   `json:"retired,omitempty" doc:"It is not shown any more."`
			}
		}) (*body[Made], error) {
			id, err := a.Loop.PutPolicy(ctx, actor(ctx), loop.Policy(in.Body))
			return answer(Made{id}, err)
		})
}
