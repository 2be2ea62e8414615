import{a,b}from"./chunk-3UEUQZJ7.js";import"./chunk-R2KQIPGE.js";import"./chunk-KTALL32T.js";import"./chunk-ONFQWQRN.js";export{b as Place,a as default};
