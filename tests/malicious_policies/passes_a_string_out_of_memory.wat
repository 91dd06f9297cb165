;; Names an owner whose text would end beyond its memory. Must be stopped: 500, and the record is kept.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete-if-owned-by (i32.const 0) (i32.const 0x7fffffff) (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
