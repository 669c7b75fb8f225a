package callweave

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// Everything that a user can name says what it is: functions, methods, types, fields, constants and variables.
func TestExportedNamesAreDocumented(t *testing.T) {
	fset := token.NewFileSet()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(fset, files, "callweave.dev/go")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	need := func(name, text string) {
		count++
		if strings.TrimSpace(text) == "" {
			t.Errorf("%s has no comment", name)
		}
	}
	values := func(list []*doc.Value) {
		for _, group := range list {
			for _, spec := range group.Decl.Specs {
				value := spec.(*ast.ValueSpec)
				if value.Names[0].IsExported() {
					need(value.Names[0].Name, group.Doc+value.Doc.Text()+value.Comment.Text())
				}
			}
		}
	}
	funcs := func(of string, list []*doc.Func) {
		for _, f := range list {
			need(of+f.Name, f.Doc)
		}
	}
	need("the package", pkg.Doc)
	values(pkg.Consts)
	values(pkg.Vars)
	funcs("", pkg.Funcs)
	for _, typ := range pkg.Types {
		need(typ.Name, typ.Doc)
		values(typ.Consts)
		values(typ.Vars)
		funcs("", typ.Funcs)
		funcs(typ.Name+".", typ.Methods)
		for _, spec := range typ.Decl.Specs {
			structure, ok := spec.(*ast.TypeSpec).Type.(*ast.StructType)
			if !ok {
				continue
			}
			text := ""
			for _, field := range structure.Fields.List {
				// A comment holds for the fields right below it, as in net/http.
				if above := field.Doc.Text() + field.Comment.Text(); above != "" {
					text = above
				}
				for _, name := range field.Names {
					if name.IsExported() {
						need(typ.Name+"."+name.Name, text)
					}
				}
			}
		}
	}
	if count < 200 {
		t.Fatalf("only %d names were looked at", count)
	}
}
