// Command mutants measures whether the tests of a package notice mistakes. It makes one small
// change at random (a mutant) in one package, runs that package's own tests on it,
// and prints every mutant that the tests let pass: a survivor.
//
//	go run ./scripts/mutants -n 40 -seed 1 ./flows
//
// The changes are of four groups, and each group is picked equally often: conditions
// (comparisons turned or moved by one, && and || exchanged, an if negated), statements (a call
// or an assignment left out, an if never taken), cases (one case of a switch left out, or one of
// its values), and numbers (+ and - exchanged, n replaced by n+1). A mutant that does not
// compile does not count. A mutant whose tests do not end within -timeout has failed them.
//
// No source file is touched: the compiler reads the changed file through go's -overlay.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	var o options
	flag.IntVar(&o.count, "n", 40, "how many mutants to try")
	flag.Uint64Var(&o.seed, "seed", 1, "picks the mutants: one seed, one choice")
	flag.DurationVar(&o.timeout, "timeout", time.Minute, "the longest that the tests of one mutant may run")
	flag.DurationVar(&o.runTimeout, "run-timeout", time.Hour, "the longest that all may take; what was tried until then is summed up")
	flag.StringVar(&o.run, "run", "", "run only the tests that match, as go test -run")
	flag.StringVar(&o.skip, "skip", "", "leave out the tests that match, as go test -skip")
	flag.BoolVar(&o.short, "short", false, "leave out what go test -short does: here what starts a switch")
	except := flag.String("except", "", "do not change functions whose name (Func or Type.Method) matches, for example '\\.String$'")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: mutants [flags] PACKAGE-DIRECTORY")
		os.Exit(2)
	}
	if *except != "" {
		var err error
		if o.except, err = regexp.Compile(*except); err != nil {
			fmt.Fprintln(os.Stderr, "mutants: -except:", err)
			os.Exit(2)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := try(ctx, o, flag.Arg(0), os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

type options struct {
	count               int
	seed                uint64
	timeout, runTimeout time.Duration
	run, skip           string
	short               bool
	except              *regexp.Regexp // nil: no function is passed by
}

// try tests o.count mutants of the package in dir and prints survivors and sum to out.
func try(ctx context.Context, o options, dir string, out io.Writer) error {
	p, err := load(ctx, dir)
	if err != nil {
		return err
	}
	groups, err := p.mutants(o.except)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	ctx, cancel := context.WithTimeout(ctx, o.runTimeout)
	defer cancel()
	b := &bench{options: o, pkg: p, tmp: tmp}
	if v, output := b.test(ctx, nil); v != survived {
		return fmt.Errorf("the tests of %s fail without any change:\n%s", dir, output)
	}
	tried, failed := 0, 0
	for m := range pick(groups, o.seed) {
		if tried == o.count || ctx.Err() != nil {
			break
		}
		verdict, _ := b.test(ctx, &m)
		if verdict == uncompiled || ctx.Err() != nil {
			continue
		}
		tried++
		if verdict == noticed {
			failed++
			continue
		}
		fmt.Fprintf(out, "%s:%d: survived\n%s", filepath.Join(dir, filepath.Base(m.file)), m.line, m.diff(p.sources[m.file]))
	}
	fmt.Fprintf(out, "%d of %d failed\n", failed, tried)
	return nil
}

// goPackage is what go list says of the package, and its sources by path.
type goPackage struct {
	Dir     string
	GoFiles []string
	sources map[string][]byte
}

// load runs go in dir itself, so the package may belong to any module.
func load(ctx context.Context, dir string) (*goPackage, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=Dir,GoFiles", ".")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, fmt.Errorf("go list %s: %s", dir, exit.Stderr)
		}
		return nil, fmt.Errorf("go list %s: %w", dir, err)
	}
	p := &goPackage{sources: map[string][]byte{}}
	if err := json.Unmarshal(out, p); err != nil {
		return nil, fmt.Errorf("go list %s: %w", dir, err)
	}
	for _, name := range p.GoFiles {
		path := filepath.Join(p.Dir, name)
		if p.sources[path], err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// mutants lists every change that could be made to the package, by group.
func (p *goPackage) mutants(except *regexp.Regexp) (groups [groupCount][]mutant, err error) {
	for _, name := range p.GoFiles {
		path := filepath.Join(p.Dir, name)
		f := &finder{fset: token.NewFileSet(), path: path, source: p.sources[path], except: except, groups: &groups}
		if err := f.file(); err != nil {
			return groups, err
		}
	}
	return groups, nil
}

// pick yields the mutants in an order given by the seed: first a group, then one of its own.
func pick(groups [groupCount][]mutant, seed uint64) func(yield func(mutant) bool) {
	return func(yield func(mutant) bool) {
		r := rand.New(rand.NewPCG(seed, 0))
		var left [][]mutant
		for _, g := range groups {
			r.Shuffle(len(g), func(i, j int) { g[i], g[j] = g[j], g[i] })
			if len(g) > 0 {
				left = append(left, g)
			}
		}
		for len(left) > 0 {
			i := r.IntN(len(left))
			if !yield(left[i][0]) {
				return
			}
			if left[i] = left[i][1:]; len(left[i]) == 0 {
				left = append(left[:i], left[i+1:]...)
			}
		}
	}
}

const (
	conditions = iota
	statements
	cases
	numbers
	groupCount
)

// mutant is one change: text stands for the bytes from start to end of the file.
type mutant struct {
	file       string
	line       int
	start, end int
	text       string
}

func (m mutant) apply(source []byte) []byte {
	return append(append(append([]byte(nil), source[:m.start]...), m.text...), source[m.end:]...)
}

// diff shows the changed lines, before and after.
func (m mutant) diff(source []byte) string {
	from := bytes.LastIndexByte(source[:m.start], '\n') + 1
	to := len(source)
	if n := bytes.IndexByte(source[m.end:], '\n'); n >= 0 {
		to = m.end + n
	}
	after := m.apply(source)
	var b strings.Builder
	for _, line := range strings.Split(string(source[from:to]), "\n") {
		fmt.Fprintf(&b, "    - %s\n", strings.TrimSpace(line))
	}
	for _, line := range strings.Split(string(after[from:to+len(after)-len(source)]), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintf(&b, "    + %s\n", line)
		}
	}
	return b.String()
}

// finder walks one file and adds the changes that it finds to groups.
type finder struct {
	fset   *token.FileSet
	path   string
	source []byte
	except *regexp.Regexp
	groups *[groupCount][]mutant
}

func (f *finder) file() error {
	file, err := parser.ParseFile(f.fset, f.path, f.source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	if ast.IsGenerated(file) {
		return nil
	}
	ast.Inspect(file, f.visit)
	return nil
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return f.except == nil || !f.except.MatchString(name(n))
	case *ast.BinaryExpr:
		f.binary(n)
	case *ast.IfStmt:
		f.condition(n)
	case *ast.BlockStmt:
		f.statements(n.List)
	case *ast.CaseClause:
		f.dropCase(n)
		f.statements(n.Body)
	case *ast.CommClause:
		f.statements(n.Body)
	case *ast.AssignStmt:
		f.replaceToken(n.TokPos, n.Tok)
	case *ast.IncDecStmt:
		f.replaceToken(n.TokPos, n.Tok)
	case *ast.BasicLit:
		f.number(n)
	case *ast.CallExpr:
		return f.call(n)
	}
	return true
}

// name is the function's: Func or Type.Method.
func name(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + "." + d.Name.Name
		default:
			return d.Name.Name
		}
	}
}

func (f *finder) add(group int, from, to token.Pos, text string) {
	at := f.fset.Position(from)
	f.groups[group] = append(f.groups[group], mutant{
		file: f.path, line: at.Line, start: at.Offset, end: f.fset.Position(to).Offset, text: text,
	})
}

// turned says what may stand for an operator: the opposite, and for an order also the
// neighbour that treats equal values otherwise.
var turned = map[token.Token][]string{
	token.EQL:  {"!="},
	token.NEQ:  {"=="},
	token.LSS:  {">=", "<="},
	token.LEQ:  {">", "<"},
	token.GTR:  {"<=", ">="},
	token.GEQ:  {"<", ">"},
	token.LAND: {"||"},
	token.LOR:  {"&&"},
}

// exchanged says what may stand for an operator that counts.
var exchanged = map[token.Token]string{
	token.ADD: "-", token.SUB: "+",
	token.ADD_ASSIGN: "-=", token.SUB_ASSIGN: "+=",
	token.INC: "--", token.DEC: "++",
}

func (f *finder) binary(n *ast.BinaryExpr) {
	for _, text := range turned[n.Op] {
		f.add(conditions, n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), text)
	}
	f.replaceToken(n.OpPos, n.Op)
}

func (f *finder) replaceToken(pos token.Pos, t token.Token) {
	if text, ok := exchanged[t]; ok {
		f.add(numbers, pos, pos+token.Pos(len(t.String())), text)
	}
}

// condition negates an if, where its comparison is not turned anyway, and takes it away.
func (f *finder) condition(n *ast.IfStmt) {
	old := string(f.source[f.fset.Position(n.Cond.Pos()).Offset:f.fset.Position(n.Cond.End()).Offset])
	if b, ok := n.Cond.(*ast.BinaryExpr); !ok || b.Op == token.LAND || b.Op == token.LOR {
		f.add(conditions, n.Cond.Pos(), n.Cond.End(), "!("+old+")")
	}
	f.add(statements, n.Cond.Pos(), n.Cond.End(), "false && ("+old+")")
}

// statements leaves out each statement that can be missing.
func (f *finder) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.SendStmt, *ast.DeferStmt, *ast.GoStmt:
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE {
				continue
			}
		default:
			continue
		}
		f.add(statements, s.Pos(), s.End(), "")
	}
}

// dropCase leaves out a case of a switch, or one of its values.
func (f *finder) dropCase(n *ast.CaseClause) {
	f.add(cases, n.Pos(), n.End(), "")
	for i := 1; i < len(n.List); i++ {
		f.add(cases, n.List[i-1].End(), n.List[i].End(), "")
	}
	if len(n.List) > 1 {
		f.add(cases, n.List[0].Pos(), n.List[1].Pos(), "")
	}
}

func (f *finder) number(n *ast.BasicLit) {
	if n.Kind != token.INT {
		return
	}
	v, err := strconv.ParseUint(n.Value, 0, 63)
	if err != nil {
		return
	}
	text := strconv.FormatUint(v+1, 10)
	if strings.HasPrefix(n.Value, "0x") {
		text = "0x" + strconv.FormatUint(v+1, 16)
	}
	f.add(numbers, n.Pos(), n.End(), text)
}

// call passes by the capacity given to make: it changes nothing but speed.
func (f *finder) call(n *ast.CallExpr) bool {
	if fun, ok := n.Fun.(*ast.Ident); !ok || fun.Name != "make" {
		return true
	}
	hint := 2
	if _, ok := n.Args[0].(*ast.MapType); ok {
		hint = 1
	}
	for _, arg := range n.Args[:min(hint, len(n.Args))] {
		ast.Inspect(arg, f.visit)
	}
	return false
}

type verdict int

const (
	uncompiled verdict = iota
	noticed            // a test failed, or did not end
	survived           // all tests passed
)

// bench builds and runs the tests of one package, in a directory of its own.
type bench struct {
	options
	pkg *goPackage
	tmp string
}

// test tries one mutant; nil: the package as it is.
func (b *bench) test(ctx context.Context, m *mutant) (verdict, []byte) {
	binary := filepath.Join(b.tmp, "package.test")
	args := []string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", binary} // links faster without debug information
	if m != nil {
		overlay, err := b.overlay(*m)
		if err != nil {
			return uncompiled, []byte(err.Error())
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.pkg.Dir
	if output, err := cmd.CombinedOutput(); err != nil {
		return uncompiled, output
	}
	if output, err := b.execute(ctx, binary); err != nil {
		return noticed, output
	}
	return survived, nil
}

// overlay writes the changed file and the JSON that puts it in the place of the source.
func (b *bench) overlay(m mutant) (path string, err error) {
	changed := filepath.Join(b.tmp, filepath.Base(m.file))
	if err := os.WriteFile(changed, m.apply(b.pkg.sources[m.file]), 0o600); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {m.file: changed}})
	if err != nil {
		return "", err
	}
	path = filepath.Join(b.tmp, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// execute runs the test binary where go test would. A mutant may loop and allocate without end,
// so the binary gets a bound on time and memory (8 GiB), and is killed with all that it started.
func (b *bench) execute(ctx context.Context, binary string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout+5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", `ulimit -v 8388608; exec "$@"`, "sh",
		binary, "-test.failfast", "-test.run="+b.run, "-test.skip="+b.skip,
		"-test.short="+strconv.FormatBool(b.short), "-test.timeout="+b.timeout.String())
	cmd.Dir = b.pkg.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd.CombinedOutput()
}
