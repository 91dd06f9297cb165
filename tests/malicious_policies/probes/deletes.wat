;; Calls `storage.delete` once for each byte of the learning id, then returns a rejection.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (loop $again
        (if (local.get 1)
          (then
            (call $delete (i32.const 0))
            (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
            (br $again))))
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))
  )
  ;; include export
)
