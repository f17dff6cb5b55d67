package graph

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// Extra holds what of a JSON object its type has no field for, and what it has
// one for but says as null, false, 0 or "", so that an object that is read and
// written again says the same. Keys keep their spelling.
type Extra map[string]json.RawMessage

// extraType marks a struct as open.
var extraType = reflect.TypeFor[Extra]()

// readOpen decodes data into the struct that into points to, and fills the
// Extra of that struct and of those within it. Keys are matched without regard
// to case, for the service does not keep to one.
func readOpen(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return err
	}
	return keep(data, reflect.ValueOf(into).Elem())
}

// keep fills the Extra of what lies in v, which was decoded from data. Types
// that decode themselves have filled their own.
func keep(data []byte, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || decodesItself(v.Type()) {
			return nil
		}
		return keep(data, v.Elem())
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k != reflect.Struct || decodesItself(reflect.PointerTo(v.Type().Elem())) {
			return nil
		}
		var items []json.RawMessage
		if err := json.Unmarshal(data, &items); err != nil {
			return err
		}
		for i, item := range items {
			if err := keep(item, v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		return keepStruct(data, v)
	}
	return nil
}

func keepStruct(data []byte, v reflect.Value) error {
	at := extraField(v.Type())
	if at < 0 || bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	var extra Extra
	for key, value := range all {
		if field := fieldOf(v, key); field.IsValid() && !field.IsZero() {
			if err := keep(value, field); err != nil {
				return err
			}
			continue
		}
		if extra == nil {
			extra = Extra{}
		}
		extra[key] = bytes.Clone(value)
	}
	v.Field(at).Set(reflect.ValueOf(extra))
	return nil
}

// writeOpen encodes a struct, and what readOpen kept beside it. What the
// struct says wins.
func writeOpen(v reflect.Value) ([]byte, error) {
	tree, err := tree(v)
	if err != nil {
		return nil, err
	}
	return json.Marshal(tree)
}

// tree is v in maps, slices and encoded leaves.
func tree(v reflect.Value) (any, error) {
	switch {
	case v.Kind() == reflect.Pointer && !decodesItself(v.Type()):
		return tree(v.Elem())
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		items := make([]any, v.Len())
		for i := range items {
			var err error
			if items[i], err = tree(v.Index(i)); err != nil {
				return nil, err
			}
		}
		return items, nil
	case v.Kind() != reflect.Struct || extraField(v.Type()) < 0 || decodesItself(reflect.PointerTo(v.Type())):
		return v.Interface(), nil
	}
	all := map[string]any{}
	for i := range v.NumField() {
		name, ok := keyOf(v.Type().Field(i))
		if !ok || v.Field(i).IsZero() {
			continue
		}
		var err error
		if all[name], err = tree(v.Field(i)); err != nil {
			return nil, err
		}
	}
	for key, value := range v.Field(extraField(v.Type())).Interface().(Extra) {
		if field := fieldOf(v, key); !field.IsValid() || field.IsZero() {
			all[key] = value
		}
	}
	return all, nil
}

func decodesItself(pointer reflect.Type) bool {
	return pointer.Implements(reflect.TypeFor[json.Unmarshaler]())
}

func extraField(t reflect.Type) int {
	for i := range t.NumField() {
		if t.Field(i).Type == extraType {
			return i
		}
	}
	return -1
}

// keyOf is the JSON key of a field.
func keyOf(f reflect.StructField) (string, bool) {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, name != "" && name != "-"
}

// fieldOf returns the field of v that key decodes into, the zero Value if
// there is none.
func fieldOf(v reflect.Value, key string) reflect.Value {
	for i := range v.NumField() {
		if name, ok := keyOf(v.Type().Field(i)); ok && strings.EqualFold(name, key) {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}
