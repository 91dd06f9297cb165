;; Calls itself endlessly.
;; Expected: stack overflow trap, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func $deeper (param $depth i64)
      (call $deeper (i64.add (local.get $depth) (i64.const 1)))
      ;; After the call, so that it cannot become a tail call.
      (i64.store (i32.const 0) (local.get $depth)))
    (func (export "delete-learning") (type $decide)
      (call $deeper (i64.const 0))
      (call $deleted))
  )
  ;; include export
)
