import{a,b}from"./chunk-ZCL2BWCP.js";import"./chunk-LIE77XWJ.js";import"./chunk-IIDRGJRD.js";import"./chunk-ONFQWQRN.js";export{b as Place,a as default};
