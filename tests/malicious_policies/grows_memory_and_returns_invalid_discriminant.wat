;; Requests more memory than its limit, which is refused, and then returns neither success nor a rejection.
;; Expected: 500, record not deleted; the error is the invalid result, not the limit.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (drop (memory.grow (i32.const 60000)))
      (i32.store8 (i32.const 1024) (i32.const 2))
      (i32.const 1024))
  )
  ;; include export
)
