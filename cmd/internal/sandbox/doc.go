// Package sandbox gives up what a process no longer needs once its sockets and
// files are open: user, capabilities, the right to gain any, most of the file
// system and most system calls, on all of its threads.
//
// In goes a Policy; Enter either applies all of it or returns an error that says
// which step failed, after which the process must not go on. What the kernel does
// not offer (Landlock before Linux 5.13) is in the Report, so that it can be said
// aloud. Nothing that Enter does can be undone. The package opens no sockets, and
// exists in earnest on Linux only.
package sandbox
