package desk

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
)

// AsTable is how a list is answered. What narrows and orders it counts within the page that the list answers, which is all of
// it where the list has no pages of its own.
type AsTable struct {
	Format string `query:"format" enum:"json,csv,xlsx" default:"json" doc:"A table holds this page."`
	Filter string `query:"filter" maxLength:"64" doc:"Only lines of which a cell holds this text."`
	By     string `query:"by" maxLength:"32" doc:"The name of the member to sort by; the list's own order without it."`
	Down   bool   `query:"down" doc:"With by: the largest first."`
	Skip   int    `query:"skip" minimum:"0" doc:"How many lines are passed over."`
	Take   int    `query:"take" minimum:"0" maximum:"50000" doc:"How many are answered at most; all without it."`
}

func (t AsTable) how() AsTable { return t }

// listing registers a list that is answered as JSON, or with its items as a table: a column for every member of an item
// that has the tag zh, its heading. The page is the items themselves, or a struct with them in its member Items.
func listing[I, P, V any, PI interface {
	*I
	how() AsTable
}](a *API, o huma.Operation, title string, list func(context.Context, *I) (page P, items []V, err error)) {
	o.Responses = fileResponses[P](a, "The list")
	huma.Register(a.huma, o, func(ctx context.Context, in *I) (*file, error) {
		page, items, err := list(ctx, in)
		if err != nil {
			return nil, wrap(err)
		}
		how := PI(in).how()
		if items, err = narrow(items, how); err != nil {
			return nil, wrap(err)
		}
		var out *file
		if how.Format == "json" {
			out, err = jsonFile(withItems(page, items))
		} else {
			out, err = tableFile(how.Format, strings.TrimPrefix(o.OperationID, "list-"), title, tableOf(items))
		}
		return out, wrap(err)
	})
}

// withItems is a page with other items.
func withItems[P, V any](page P, items []V) P {
	if items == nil {
		items = []V{}
	}
	v := reflect.ValueOf(&page).Elem()
	if v.Kind() == reflect.Struct {
		v = v.FieldByName("Items")
	}
	v.Set(reflect.ValueOf(items))
	return page
}

// narrow filters, sorts and cuts items.
func narrow[V any](items []V, how AsTable) ([]V, error) {
	fields := headed(reflect.TypeFor[V]())
	if how.Filter != "" {
		items = slices.DeleteFunc(items, func(x V) bool {
			v := reflect.ValueOf(x)
			return !slices.ContainsFunc(fields, func(f reflect.StructField) bool {
				return strings.Contains(fmt.Sprint(cellOf(v.FieldByIndex(f.Index))), how.Filter)
			})
		})
	}
	if how.By != "" {
		i := slices.IndexFunc(fields, func(f reflect.StructField) bool {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			return name == how.By
		})
		if i < 0 {
			return nil, bad("不能按“" + how.By + "”排序,请选择列表中的一列。")
		}
		slices.SortStableFunc(items, func(a, b V) int {
			c := compareCells(reflect.ValueOf(a).FieldByIndex(fields[i].Index), reflect.ValueOf(b).FieldByIndex(fields[i].Index))
			if how.Down {
				c = -c
			}
			return c
		})
	}
	items = items[min(how.Skip, len(items)):]
	if how.Take > 0 {
		items = items[:min(how.Take, len(items))]
	}
	return items, nil
}

// compareCells orders two values: numbers as such, everything else as the text of its cell.
func compareCells(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint())
	}
	return cmp.Compare(fmt.Sprint(cellOf(a)), fmt.Sprint(cellOf(b)))
}

// tableOf lays items out in cells under the headings of their members.
func tableOf[V any](items []V) [][]any {
	fields := headed(reflect.TypeFor[V]())
	head := make([]any, len(fields))
	for i, f := range fields {
		head[i] = f.Tag.Get("zh")
	}
	table := [][]any{head}
	for i := range items {
		v := reflect.ValueOf(items[i])
		row := make([]any, len(fields))
		for k, f := range fields {
			row[k] = cellOf(v.FieldByIndex(f.Index))
		}
		table = append(table, row)
	}
	return table
}

// headed are the members with a heading, those of embedded structs among them.
func headed(t reflect.Type) (fields []reflect.StructField) {
	for _, f := range reflect.VisibleFields(t) {
		if f.Tag.Get("zh") != "" {
			fields = append(fields, f)
		}
	}
	return fields
}

// cellOf writes a value into a cell: lists with 、 between, what has no form of its own as JSON.
func cellOf(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case string:
		return x
	case bool:
		return casework.Field{}.Words(x)
	case []string:
		return strings.Join(x, "、")
	}
	switch {
	case v.CanInt(), v.CanUint():
		return fmt.Sprint(v.Interface())
	case (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0:
		return ""
	}
	b, err := json.Marshal(v.Interface())
	if err != nil {
		return ""
	}
	return string(b)
}
