;; Its `realloc` returns an unaligned address, which is invalid for the list of scopes.
;; Expected: sandbox error, 500, record not deleted.
(component
  ;; include imports
  (core module $memory
    (memory (export "memory") 4)
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (i32.const 0x8001))
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
