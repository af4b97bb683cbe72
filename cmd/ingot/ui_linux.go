package main

import "os/exec"

// openBrowser asks the desktop to show an address.
func openBrowser(url string) error { return startBrowser(exec.Command("xdg-open", url)) }
