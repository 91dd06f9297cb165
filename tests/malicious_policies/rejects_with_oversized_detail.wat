;; Returns a rejection with a detail of 1025 bytes.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func $start (memory.fill (i32.const 4096) (i32.const 120) (i32.const 1025)))
    (start $start)
    (func (export "delete-learning") (type $decide)
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 4096) (i32.const 1025) (i32.const 2056) (i32.const 7)))
  )
  ;; include export
)
