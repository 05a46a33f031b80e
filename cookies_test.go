package sluice

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What stands in a cookie is known to package flows alone: others ask it (flows.Slice). So
// outside of flows no cookie is shifted or put under a mask that is written as a number. To
// compare two under a mask that came with a message is the protocol's own business.
func TestCookiesAreTakenApartInFlowsAlone(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "flows" || strings.HasPrefix(d.Name(), ".") && path != "."):
			return fs.SkipDir
		case filepath.Ext(path) != ".go":
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, pos := range cookieArithmetic(file) {
			t.Errorf("%s: takes a cookie apart: let flows.Slice say what it holds", files.Position(pos))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	shifts = []token.Token{token.SHL, token.SHR, token.SHL_ASSIGN, token.SHR_ASSIGN}
	masks  = []token.Token{token.AND, token.OR, token.XOR, token.AND_NOT,
		token.AND_ASSIGN, token.OR_ASSIGN, token.XOR_ASSIGN, token.AND_NOT_ASSIGN}
)

// cookieArithmetic is where a cookie is shifted or masked by a number.
func cookieArithmetic(file *ast.File) (found []token.Pos) {
	check := func(pos token.Pos, x ast.Expr, op token.Token, y ast.Expr) {
		shifted := slices.Contains(shifts, op) && isCookie(x)
		masked := slices.Contains(masks, op) && (isCookie(x) && isNumber(y) || isNumber(x) && isCookie(y))
		if shifted || masked {
			found = append(found, pos)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			check(n.OpPos, n.X, n.Op, n.Y)
		case *ast.AssignStmt:
			check(n.TokPos, n.Lhs[0], n.Tok, n.Rhs[0])
		}
		return true
	})
	return found
}

// isCookie reports whether an expression is a variable or field of that name, also inside of
// parentheses and a conversion.
func isCookie(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.ParenExpr:
		return isCookie(x.X)
	case *ast.CallExpr:
		return len(x.Args) == 1 && isConversion(x.Fun) && isCookie(x.Args[0])
	case *ast.SelectorExpr:
		return isCookie(x.Sel)
	case *ast.Ident:
		return strings.EqualFold(x.Name, "cookie")
	}
	return false
}

func isConversion(fun ast.Expr) bool {
	name, ok := fun.(*ast.Ident)
	return ok && strings.HasPrefix(strings.TrimPrefix(name.Name, "u"), "int")
}

// isNumber reports whether an expression is made of numbers alone.
func isNumber(x ast.Expr) bool {
	number, name := false, false
	ast.Inspect(x, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.BasicLit:
			number = true
		case *ast.Ident:
			name = true
		}
		return true
	})
	return number && !name
}

func TestCookieArithmetic(t *testing.T) {
	for code, want := range map[string]bool{
		"f.Cookie >> 32":                  true,
		"uint32(f.Cookie>>32) & 0xffffff": true,
		"uint32(cookie) & 0xffffff":       true,
		"(cookie) &^ 0xff":                true,
		"1<<32 | cookie":                  true,
		"cookie ^ (1 << 3)":               true,
		"f.Flow.Cookie << 8":              true,
		"(f.Cookie ^ q.Cookie) & q.Mask":  false,
		"f.Cookie & m.CookieMask":         false,
		"f.Cookie == 7":                   false,
		"flows.Slice(f.Cookie).Tenant()":  false,
		"cookieMask & 0xff":               false,
		"1 << bits":                       false,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nvar _ = "+code, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(cookieArithmetic(file)) > 0; got != want {
			t.Errorf("%s: found %t, want %t", code, got, want)
		}
	}
}
