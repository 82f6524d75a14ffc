package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
)

// AsTable is how a list is answered.
type AsTable struct {
	Format string `query:"format" enum:"json,csv,xlsx" default:"json" doc:"A table holds this page."`
}

func (t AsTable) as() string { return t.Format }

// listing registers a list that is answered as JSON, or with its items as a table: a column for every member of an item
// that has the tag zh, its heading. The input embeds AsTable.
func listing[I, P, V any, PI interface {
	*I
	as() string
}](a *API, o huma.Operation, title string, list func(context.Context, *I) (page P, items []V, err error)) {
	o.Responses = fileResponses[P](a, "The list")
	huma.Register(a.huma, o, func(ctx context.Context, in *I) (*file, error) {
		page, items, err := list(ctx, in)
		if err != nil {
			return nil, wrap(err)
		}
		var out *file
		if format := PI(in).as(); format == "json" {
			out, err = jsonFile(page)
		} else {
			out, err = tableFile(format, strings.TrimPrefix(o.OperationID, "list-"), title, tableOf(items))
		}
		return out, wrap(err)
	})
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
