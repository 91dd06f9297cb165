;; Deletes, and returns a pointer outside its memory.
;; Expected: 500, record deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete (i32.const 0))
      (i32.const 0x7ffffff0))
  )
  ;; include export
)
