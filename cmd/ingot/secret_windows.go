package main

// noCoreDump does nothing: Windows dumps a process only for those who may debug
// it.
func noCoreDump() {}
