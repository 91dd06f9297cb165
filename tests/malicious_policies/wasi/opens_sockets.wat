;; Opens a TCP and a UDP socket and resolves `localhost`. Deletes if each of them is denied.
;; Expected: 204.
(component
  ;; include imports
  (import "wasi:sockets/network@0.2.0" (instance $network
    (export "network" (type (sub resource)))
    (type $code' (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
      "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable"
      "address-in-use" "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted"
      "datagram-too-large" "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type (eq $code')))
    (type $family' (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $family')))
  ))
  (alias export $network "network" (type $network-type))
  (alias export $network "error-code" (type $code))
  (alias export $network "ip-address-family" (type $family))
  (import "wasi:sockets/instance-network@0.2.0" (instance $instance-network
    (alias outer 1 $network-type (type $network'))
    (export "network" (type $network (eq $network')))
    (export "instance-network" (func (result (own $network))))
  ))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
  (alias export $tcp "tcp-socket" (type $tcp-socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create-tcp
    (alias outer 1 $code (type $code'))
    (export "error-code" (type $code (eq $code')))
    (alias outer 1 $family (type $family'))
    (export "ip-address-family" (type $family (eq $family')))
    (alias outer 1 $tcp-socket (type $socket'))
    (export "tcp-socket" (type $socket (eq $socket')))
    (export "create-tcp-socket" (func (param "address-family" $family) (result (result (own $socket) (error $code)))))
  ))
  (import "wasi:sockets/udp@0.2.0" (instance $udp (export "udp-socket" (type (sub resource)))))
  (alias export $udp "udp-socket" (type $udp-socket))
  (import "wasi:sockets/udp-create-socket@0.2.0" (instance $create-udp
    (alias outer 1 $code (type $code'))
    (export "error-code" (type $code (eq $code')))
    (alias outer 1 $family (type $family'))
    (export "ip-address-family" (type $family (eq $family')))
    (alias outer 1 $udp-socket (type $socket'))
    (export "udp-socket" (type $socket (eq $socket')))
    (export "create-udp-socket" (func (param "address-family" $family) (result (result (own $socket) (error $code)))))
  ))
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $lookup
    (alias outer 1 $network-type (type $network'))
    (export "network" (type $network (eq $network')))
    (alias outer 1 $code (type $code'))
    (export "error-code" (type $code (eq $code')))
    (export "resolve-address-stream" (type $stream (sub resource)))
    (export "resolve-addresses" (func (param "network" (borrow $network)) (param "name" string)
      (result (result (own $stream) (error $code)))))
  ))
  ;; include memory
  ;; include host
  (core func $create-tcp (canon lower (func $create-tcp "create-tcp-socket") (memory $memory "memory")))
  (core func $create-udp (canon lower (func $create-udp "create-udp-socket") (memory $memory "memory")))
  (core func $network (canon lower (func $instance-network "instance-network")))
  (core func $resolve (canon lower (func $lookup "resolve-addresses") (memory $memory "memory")))
  (core instance $wasi
    (export "create-tcp" (func $create-tcp))
    (export "create-udp" (func $create-udp))
    (export "network" (func $network))
    (export "resolve" (func $resolve)))
  (core module $policy
    (import "wasi" "create-tcp" (func $create-tcp (param i32 i32)))
    (import "wasi" "create-udp" (func $create-udp (param i32 i32)))
    (import "wasi" "network" (func $network (result i32)))
    (import "wasi" "resolve" (func $resolve (param i32 i32 i32 i32)))
    ;; include core
    (data (i32.const 2064) "localhost")
    ;; Traps unless the result at 0 is the error with this code.
    (func $assert-error (param $code i32)
      (if (i32.ne (i32.load8_u (i32.const 0)) (i32.const 1)) (then unreachable))
      (if (i32.ne (i32.load8_u (i32.const 4)) (local.get $code)) (then unreachable)))
    (func (export "delete-learning") (type $decide)
      (call $create-tcp (i32.const 0) (i32.const 0))
      ;; `access-denied`
      (call $assert-error (i32.const 1))
      (call $create-udp (i32.const 1) (i32.const 0))
      ;; `access-denied`
      (call $assert-error (i32.const 1))
      (call $resolve (call $network) (i32.const 2064) (i32.const 9) (i32.const 0))
      ;; `permanent-resolver-failure`
      (call $assert-error (i32.const 20))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include wasi
)
