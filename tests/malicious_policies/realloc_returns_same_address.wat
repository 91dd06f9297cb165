;; Its `realloc` always returns the same address, so that strings overwrite each other. That harms only the policy.
;; Expected: 204, because it deleted the record and returns success.
(component
  ;; include imports
  (core module $memory
    (memory (export "memory") 4)
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (i32.const 0x8000))
  )
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $current (i32.const 0))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
