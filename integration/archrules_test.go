package integration

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// archRules says what a source tree looks like. Folders are slash-separated and
// relative to the module's root. In a pattern "*" stands for one part of a path
// and a final "**" for any number of parts.
type archRules struct {
	module  string
	top     []string      // files and folders at the top; names with a dot in front may be there too
	folders []archFolder  // every folder that holds Go sources
	inTests []string      // patterns of folders that any test may import
	foreign []archForeign // restrictions on other modules
	blank   []string      // what may be imported for its side effects
}

// archFolder says which folders of the module a folder may import, and which
// its tests may beside those that any test may.
type archFolder struct {
	pattern string
	imports []string
	inTests []string
}

// archForeign restricts an import path and all below it to some folders.
type archForeign struct {
	path    string
	in      []string
	inTests []string
}

// check reads the tree and returns one sentence per broken rule, in the order
// of the tree; none if all is well.
func (r *archRules) check(fsys fs.FS) []string {
	findings := r.checkTop(fsys)
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !entry.IsDir():
			return nil
		case name != "." && skippedFolder(entry.Name()):
			return fs.SkipDir
		}
		found, err := r.checkFolder(fsys, name)
		findings = append(findings, found...)
		return err
	})
	if err != nil {
		findings = append(findings, err.Error())
	}
	return findings
}

// skippedFolder names the folders in which the go command sees no packages.
func skippedFolder(name string) bool {
	return name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

func (r *archRules) checkTop(fsys fs.FS) []string {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return []string{err.Error()}
	}
	products := buildProducts(fsys)
	var findings []string
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, ".") && !slices.Contains(r.top, name) && !matchesAny(products, name) {
			findings = append(findings, name+": not expected at the top of the tree")
		}
	}
	return findings
}

// buildProducts returns what .gitignore says may lie about at the top.
func buildProducts(fsys fs.FS) []string {
	text, err := fs.ReadFile(fsys, ".gitignore")
	if err != nil {
		return nil
	}
	var patterns []string
	for line := range strings.Lines(string(text)) {
		if line = strings.Trim(line, "/\r\n "); line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, line)
		}
	}
	return patterns
}

func (r *archRules) checkFolder(fsys fs.FS, folder string) ([]string, error) {
	files, err := fs.Glob(fsys, path.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		return nil, err
	}
	rule := slices.IndexFunc(r.folders, func(f archFolder) bool { return matches(f.pattern, folder) })
	if rule < 0 {
		return []string{folder + ": this folder is not in the table of integration/arch_test.go"}, nil
	}
	var findings []string
	pkg, documented := "", false
	for _, name := range files {
		source, err := fs.ReadFile(fsys, name)
		if err != nil {
			return findings, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			findings = append(findings, name+": "+err.Error())
			continue
		}
		if !strings.HasSuffix(name, "_test.go") {
			pkg = file.Name.Name
			documented = documented || isPackageDoc(file)
		}
		findings = append(findings, r.checkFile(name, folder, &r.folders[rule], file)...)
	}
	if pkg != "" && !documented {
		findings = append(findings, fmt.Sprintf("%s: no file has a package comment that begins with %q", folder, docStart(pkg)))
	}
	return findings, nil
}

func isPackageDoc(file *ast.File) bool {
	return file.Doc != nil && strings.HasPrefix(file.Doc.Text(), docStart(file.Name.Name))
}

// docStart is how a package comment begins; that of a command names the command.
func docStart(pkg string) string {
	if pkg == "main" {
		return "Command "
	}
	return "Package " + pkg + " "
}

func (r *archRules) checkFile(name, folder string, rule *archFolder, file *ast.File) []string {
	var findings []string
	add := func(format string, args ...any) {
		findings = append(findings, name+": "+fmt.Sprintf(format, args...))
	}
	test := strings.HasSuffix(name, "_test.go")
	var inTests []string
	if test {
		inTests = slices.Concat(rule.inTests, r.inTests)
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			add("import path %s: %v", spec.Path.Value, err)
			continue
		}
		if spec.Name != nil && spec.Name.Name == "_" && !slices.Contains(r.blank, imported) {
			add("imports %s for its side effects; only %s may be", imported, list(r.blank))
		}
		if ours, ok := strings.CutPrefix(imported, r.module+"/"); ok {
			if ours != folder && !matchesAny(rule.imports, ours) && !matchesAny(inTests, ours) {
				add("imports %s; of this module %s may import: %s", imported, folder, listBoth(rule.imports, inTests))
			}
			continue
		}
		for _, f := range r.foreign {
			if f.covers(imported) && !f.permits(folder, test) {
				add("imports %s; %s", imported, f)
			}
		}
	}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			add("declares func init")
		}
	}
	return findings
}

func (f archForeign) covers(imported string) bool {
	return imported == f.path || strings.HasPrefix(imported, f.path+"/")
}

func (f archForeign) permits(folder string, test bool) bool {
	return matchesAny(f.in, folder) || test && matchesAny(f.inTests, folder)
}

func (f archForeign) String() string {
	return "this may: " + listBoth(f.in, f.inTests)
}

func listBoth(always, inTests []string) string {
	if len(inTests) == 0 {
		return list(always)
	}
	return list(always) + "; in tests also: " + list(inTests)
}

func list(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

// matches reports whether a folder, or a name, fits a pattern of archRules.
func matches(pattern, name string) bool {
	if start, ok := strings.CutSuffix(pattern, "**"); ok {
		return strings.HasPrefix(name, start)
	}
	ok, _ := path.Match(pattern, name)
	return ok
}
