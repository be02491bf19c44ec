//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (seccomp(2)); arguments are 64 bits, of which the
// lower half comes first on the machines supported here.
const (
	dataNumber = 0
	dataArch   = 4
	dataArg0   = 16
	dataArg1   = 24
	dataArg2   = 32
)

const (
	retAllow = unix.SECCOMP_RET_ALLOW
	retKill  = unix.SECCOMP_RET_KILL_PROCESS
	retEPERM = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	// retENOSYS makes the runtime fall back to what can be looked into.
	retENOSYS = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// filterSystemCalls allows the system calls that the program makes once it runs,
// and answers all others with EPERM. Calls of another architecture end the
// process.
func filterSystemCalls() error {
	program, err := assemble()
	if err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	switch {
	case errno != 0:
		return errno
	case thread != 0:
		return fmt.Errorf("thread %d does not take the filter", thread)
	}
	return nil
}

func assemble() ([]unix.SockFilter, error) {
	list := filterProgram()
	raw, err := bpf.Assemble(list)
	if err != nil {
		return nil, fmt.Errorf("assemble the filter: %w", err)
	}
	out := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		out[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return out, nil
}

// filterProgram is written for a few dozen calls: one comparison each, the
// arguments of some looked into.
func filterProgram() []bpf.Instruction {
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: dataArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		bpf.RetConstant{Val: retKill},
		bpf.LoadAbsolute{Off: dataNumber, Size: 4},
	}
	if maxNumber > 0 { // the x32 calls of amd64 have a bit above
		p = append(p,
			bpf.JumpIf{Cond: bpf.JumpLessThan, Val: maxNumber, SkipTrue: 1},
			bpf.RetConstant{Val: retKill})
	}
	for _, n := range slices.Concat(allowed, allowedHere) {
		p = append(p,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: n, SkipFalse: 1},
			bpf.RetConstant{Val: retAllow})
	}
	p = append(p, when(unix.SYS_CLONE, dataArg0, unix.CLONE_THREAD)...)
	p = append(p, unless(unix.SYS_MMAP, dataArg2, unix.PROT_EXEC)...)
	p = append(p, unless(unix.SYS_MPROTECT, dataArg2, unix.PROT_EXEC)...)
	p = append(p, sockets()...)
	p = append(p,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_CLONE3, SkipFalse: 1},
		bpf.RetConstant{Val: retENOSYS},
		bpf.RetConstant{Val: retEPERM})
	return p
}

// when allows a call if one of the bits is set in an argument; unless if none is.
func when(call, offset, bits uint32) []bpf.Instruction {
	return inspect(call, offset, bits, retAllow, retEPERM)
}

func unless(call, offset, bits uint32) []bpf.Instruction {
	return inspect(call, offset, bits, retEPERM, retAllow)
}

func inspect(call, offset, bits, set, clear uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: call, SkipFalse: 4},
		bpf.LoadAbsolute{Off: offset, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: bits, SkipFalse: 1},
		bpf.RetConstant{Val: set},
		bpf.RetConstant{Val: clear},
	}
}

// sockets allows stream and datagram sockets of the Internet and Unix families:
// no packet sockets, no raw ones, no netlink.
func sockets() []bpf.Instruction {
	const typeMask = 0xf // above are SOCK_CLOEXEC and SOCK_NONBLOCK
	return []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_SOCKET, SkipFalse: 11},
		bpf.LoadAbsolute{Off: dataArg0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_UNIX, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET6, SkipTrue: 1},
		bpf.RetConstant{Val: retEPERM},
		bpf.LoadAbsolute{Off: dataArg1, Size: 4},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: typeMask},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_STREAM, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_DGRAM, SkipTrue: 1},
		bpf.RetConstant{Val: retEPERM},
		bpf.RetConstant{Val: retAllow},
	}
}
