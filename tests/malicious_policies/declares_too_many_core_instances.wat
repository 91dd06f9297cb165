;; Declares more core instances than the limit.
;; Expected: load error.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $more)
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $deleted))
  )
  ;; include export
)
