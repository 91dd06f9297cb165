;; Calls itself without end. Must trap for want of stack: 500, and the record is kept.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func $deeper (param $depth i64)
      (call $deeper (i64.add (local.get $depth) (i64.const 1)))
      ;; After the call, so that it is no loop.
      (i64.store (i32.const 0) (local.get $depth)))
    (func (export "delete-learning") (type $decide)
      (call $deeper (i64.const 0))
      (call $deleted))
  )
  ;; include export
)
