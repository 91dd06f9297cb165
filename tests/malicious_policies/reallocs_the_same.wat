;; Its realloc gives the host the same room again and again, so that texts lie upon each other. That is its own affair;
;; what it says is true: 204.
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
