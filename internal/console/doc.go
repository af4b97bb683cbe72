// Package console is Ingot in a browser: pages over what the service, and
// questions to the program, tell. It decides nothing and does nothing itself.
//
// In words: New gives a handler. A request becomes a call or two of Service (or
// of Images, for folders and files), package view makes sentences and marks of
// the answer, a template of templates/ becomes the page. A change is a POST that
// answers with 303 to the page that shows it. All pages work without script;
// the modules in assets/ keep numbers alive.
//
//   - console.go: routes, the shell of each page, errors as pages; draw.go: the
//     glyphs that templates draw. home.go: pages over the service. points*.go,
//     browsepage.go, download.go: folders with images. restore.go: the wizard.
//   - view: facts to words, without HTML. bridge: who may come in, and all
//     headers.
//
// What it does not promise: to guard anything. It is served by the bridge,
// which does, and the service gives and does only what the user at the other
// end of its socket may have and do.
package console
